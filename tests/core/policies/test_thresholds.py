import pytest
from tests.core.policies.views import NOW, collecting, later, offer, people, waiting

from foedus.core.errors import Conflict, Forbidden, Late
from foedus.core.policies.thresholds import Thresholds
from foedus.core.rounds import Combine, Invalidate, Invite, Phase, Wait


@pytest.mark.parametrize(
    ("options", "registered", "ready", "starts"),
    [
        ({}, 10, 7, False),
        ({}, 10, 8, True),
        ({}, 10, 10, True),
        ({"ready_ratio": 0.7}, 10, 7, True),
        ({"ready_ratio": 0.67}, 3, 2, False),
        ({"ready_ratio": 0.66}, 3, 2, True),
        ({"ready_ratio": 1}, 3, 2, False),
        ({"ready_ratio": 1}, 3, 3, True),
        ({"ready_ratio": 0}, 10, 0, False),
        ({"ready_ratio": 0}, 10, 1, True),
        ({"ready_ratio": 0}, 0, 0, False),
        ({"ready_ratio": 0.1, "minimum": 3}, 10, 2, False),
        ({"ready_ratio": 0.1, "minimum": 3}, 10, 3, True),
    ],
)
def test_a_round_starts_at_the_ready_ratio_and_the_minimum(options, registered, ready, starts):
    view = waiting(registered=registered, candidates=people(ready))

    step = Thresholds(**options).decide(view, NOW)

    assert isinstance(step, Invite if starts else Wait)


def test_everybody_ready_is_invited_and_nobody_else():
    view = waiting(registered=4, candidates=people(3)[::-1] + people(1, obstacle="on battery", prefix="q"))

    step = Thresholds(ready_ratio=0.5, max_training_s=90).decide(view, NOW)

    assert step == Invite(("p0", "p1", "p2"), later(90), needed=3)


@pytest.mark.parametrize(("basis", "needed"), [("registered", 7), ("invited", 6)])
def test_an_invitation_says_how_many_updates_are_needed(basis, needed):
    view = waiting(registered=10, candidates=people(8))

    assert Thresholds(basis=basis).decide(view, NOW).needed == needed


def test_waiting_names_the_ratio_the_obstacles_and_the_absent():
    candidates = (
        people(2)
        + people(2, obstacle="below battery threshold", prefix="q")
        + people(1, obstacle="not plugged in", prefix="r")
    )
    absent = people(1, unseen_s=7200, prefix="z")
    view = waiting(registered=6, candidates=candidates, pending=candidates[:1] + absent)

    step = Thresholds().decide(view, NOW)

    assert [(r.code, r.text) for r in step.reasons] == [
        ("too_few_ready", "2 of 6 registered participants are ready; the round starts with 5 (at least 80% and 1)."),
        ("obstacle", "2 participants cannot be invited (below battery threshold): q0, q1."),
        ("obstacle", "1 participant cannot be invited (not plugged in): r0."),
        ("absent", "1 participant not seen in the last 60 min. z0 was last seen 2 h ago."),
    ]
    assert step.reasons[0].facts == {
        "ready": 2,
        "registered": 6,
        "needed": 5,
        "ratio": 0.3333,
        "ready_ratio": 0.8,
    }
    assert step.until is None


def test_a_project_without_members_says_so():
    step = Thresholds().decide(waiting(), NOW)

    assert [r.code for r in step.reasons] == ["nobody_registered"]
    assert step.until is None


@pytest.mark.parametrize(
    ("options", "registered", "invited", "reported", "valid"),
    [
        ({}, 10, 10, 6, False),
        ({}, 10, 10, 7, True),
        ({}, 10, 10, 8, True),
        ({}, 10, 7, 6, False),
        ({"basis": "invited"}, 10, 7, 4, False),
        ({"basis": "invited"}, 10, 7, 5, True),
        ({"valid_ratio": 0.67}, 3, 3, 2, False),
        ({"valid_ratio": 0.66}, 3, 3, 2, True),
        ({"valid_ratio": 0}, 10, 10, 0, False),
        ({"valid_ratio": 0}, 10, 10, 1, True),
        ({"valid_ratio": 0.2, "minimum": 3}, 10, 10, 2, False),
        ({"valid_ratio": 0.2, "minimum": 3}, 10, 10, 3, True),
        ({"minimum": 3, "ready_ratio": 0.1}, 0, 4, 3, False),
    ],
)
def test_at_the_deadline_the_valid_ratio_and_the_minimum_decide(options, registered, invited, reported, valid):
    view = collecting(registered=registered, invited=invited, reported=reported, updates=reported, deadline_at=NOW)

    step = Thresholds(**options).decide(view, NOW)

    assert isinstance(step, Combine if valid else Invalidate)


@pytest.mark.parametrize(("left_s", "kind"), [(0.001, Wait), (0, Combine), (-1, Combine)])
def test_the_deadline_is_reached_at_its_very_instant(left_s, kind):
    view = collecting(registered=10, invited=10, reported=9, deadline_at=later(left_s))

    assert isinstance(Thresholds().decide(view, NOW), kind)


@pytest.mark.parametrize(
    ("registered", "invited", "lost", "reported", "kind"),
    [
        (10, 8, 0, 7, Wait),  # enough for a valid round, but one may still report
        (10, 8, 0, 8, Combine),
        (10, 8, 1, 7, Combine),
        (10, 8, 2, 6, Invalidate),
        (10, 8, 8, 0, Invalidate),
        (10, 6, 0, 6, Invalidate),  # the ready ratio let a round start that cannot be valid
        (7, 8, 0, 7, Combine),  # one of the invited has left the project
        (0, 8, 8, 0, Invalidate),
    ],
)
def test_a_round_is_decided_as_soon_as_nobody_is_outstanding(registered, invited, lost, reported, kind):
    view = collecting(registered=registered, invited=invited, lost=lost, reported=reported)

    assert isinstance(Thresholds().decide(view, NOW), kind)


def test_collecting_says_whom_it_waits_for_and_until_when():
    view = collecting(
        registered=3, invited=3, reported=2, pending=people(1, unseen_s=41, prefix="b"), pending_seen_at=later(-41)
    )

    step = Thresholds(ready_window_s=100).decide(view, NOW)

    assert [(r.code, r.text) for r in step.reasons] == [
        (
            "awaiting_updates",
            "2 of 3 invited participants handed in an update; 1 still may. b0 was last seen 41 s ago.",
        ),
        ("deadline", "The round is decided in 60 min at the latest."),
    ]
    assert step.until == later(59)


@pytest.mark.parametrize(("window_s", "until_s"), [(3599, 3599), (3601, 3600)])
def test_a_wait_ends_with_the_deadline_or_the_first_absence(window_s, until_s):
    view = collecting(registered=3, invited=3, pending=people(1), pending_seen_at=NOW)

    assert Thresholds(ready_window_s=window_s).decide(view, NOW).until == later(until_s)


def test_a_round_without_a_stored_deadline_counts_from_its_start():
    view = collecting(registered=3, invited=3, deadline_at=None)

    assert isinstance(Thresholds(max_training_s=61).decide(view, NOW), Wait)
    assert isinstance(Thresholds(max_training_s=60).decide(view, NOW), Invalidate)


@pytest.mark.parametrize(
    ("cap", "earlier", "give_up"), [(None, 99, False), (1, 0, True), (3, 1, False), (3, 2, True), (3, 3, True)]
)
def test_the_project_gives_up_after_so_many_invalid_rounds_in_a_row(cap, earlier, give_up):
    view = collecting(registered=3, invited=3, reported=1, deadline_at=NOW, invalid_streak=earlier)

    step = Thresholds(max_invalid_streak=cap).decide(view, NOW)

    assert step.give_up is give_up
    assert ("in a row" in step.reason.text) is give_up


def test_an_invalid_round_says_what_was_missing():
    view = collecting(registered=10, invited=8, lost=2, reported=1, deadline_at=NOW)

    reason = Thresholds().decide(view, NOW).reason

    assert reason.text == "1 participant handed in an update; 7 of 10 registered were needed (at least 70%)."
    assert reason.facts == {"reported": 1, "needed": 7, "invited": 8, "lost": 2, "streak": 1}


@pytest.mark.parametrize(
    ("view", "facts", "error"),
    [
        (collecting(), {"task_round": 2}, Late),
        (collecting(), {"task_round": 4}, Conflict),
        (collecting(phase=Phase.COMBINING), {}, Late),
        (collecting(phase=Phase.COMPLETE), {}, Late),
        (collecting(phase=Phase.INVALID), {}, Late),
        (collecting(), {"invited": False}, Forbidden),
        (collecting(), {"earlier": 1}, Conflict),
        (waiting(), {"invited": False}, Forbidden),
    ],
)
def test_an_update_that_does_not_fit_is_refused(view, facts, error):
    with pytest.raises(error) as refusal:
        Thresholds().admit(view, offer(**facts), NOW)

    assert type(refusal.value) is error


def test_an_invited_participant_may_report_until_the_round_is_decided():
    Thresholds().admit(collecting(deadline_at=later(-1)), offer(), NOW)
