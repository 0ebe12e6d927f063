from dataclasses import replace

import pytest
from tests.core.policies.views import NOW, collecting, later, offer, people, waiting

from foedus.core.errors import Conflict, Forbidden, Late
from foedus.core.policies.quorum import Quorum
from foedus.core.rounds import Combine, Invalidate, Invite, Phase, Wait


@pytest.mark.parametrize(
    ("options", "connected", "needed", "invited"),
    [
        ({}, 1, 1, 1),
        ({}, 8, 8, 8),
        ({"ratio": 0.5}, 8, 4, 4),
        ({"ratio": 0.5}, 7, 4, 4),
        ({"ratio": 0.1}, 10, 1, 1),
        ({"ratio": 0.1}, 11, 2, 2),
        ({"ratio": 0.7}, 10, 7, 7),
        ({"ratio": 0}, 8, 1, 1),
        ({"ratio": 0.5, "minimum": 5}, 8, 5, 5),
        ({"minimum": 8}, 8, 8, 8),
        ({"ratio": 0.5, "over_selection": 0.5}, 8, 4, 6),
        ({"ratio": 0.5, "over_selection": 0.1}, 8, 4, 5),
        ({"ratio": 0.5, "over_selection": 3}, 8, 4, 8),
        ({"ratio": 0.1, "over_selection": 0.1}, 100, 10, 11),
    ],
)
def test_a_round_needs_a_share_of_the_connected_and_invites_some_more(options, connected, needed, invited):
    view = waiting(registered=100, candidates=people(connected))

    step = Quorum(deadline_s=90, **options).decide(view, NOW)

    assert isinstance(step, Invite)
    assert (step.needed, len(step.participants), len(set(step.participants))) == (needed, invited, invited)
    assert step.deadline_at == later(90)


@pytest.mark.parametrize(("minimum", "ready", "starts"), [(1, 0, False), (1, 1, True), (3, 2, False), (3, 3, True)])
def test_nobody_is_selected_before_the_minimum_is_connected(minimum, ready, starts):
    view = waiting(candidates=people(ready) + people(5, obstacle="busy", prefix="q"))

    step = Quorum(minimum=minimum).decide(view, NOW)

    assert isinstance(step, Invite if starts else Wait)


def test_a_draw_is_reproducible_and_does_not_depend_on_the_order_of_candidates():
    def draw(candidates, **facts):
        return Quorum(ratio=0.3).decide(waiting(candidates=candidates, **facts), NOW).participants

    again = draw(people(50)[::-1])
    others = [draw(people(50), seed=seed) for seed in range(1, 4)]

    assert draw(people(50)) == again
    assert all(again != other for other in others)


def test_waiting_counts_the_connected_and_names_the_absent():
    view = waiting(registered=3, candidates=people(1), pending=people(1, unseen_s=41, prefix="b"))

    step = Quorum(minimum=3).decide(view, NOW)

    assert [(r.code, r.text) for r in step.reasons] == [
        ("too_few_participants", "1 of 3 needed participants connected and ready."),
        ("absent", "2 participants not seen in the last 15 s. b0 was last seen 41 s ago."),
    ]
    assert step.reasons[0].facts == {"connected": 1, "needed": 3}
    assert step.until is None


@pytest.mark.parametrize(
    ("quorum", "needed", "invited", "reported", "kind"),
    [
        (1.0, 4, 4, 3, Wait),
        (1.0, 4, 4, 4, Combine),
        (0.5, 4, 4, 2, Wait),  # before the deadline the quorum does not count
        (0.5, 4, 6, 3, Wait),
        (0.5, 4, 6, 4, Combine),  # over-selection: the first four suffice
        (0.5, 4, 6, 5, Combine),
    ],
)
def test_a_round_is_combined_as_soon_as_it_has_what_it_needs(quorum, needed, invited, reported, kind):
    view = collecting(needed=needed, invited=invited, reported=reported)

    assert isinstance(Quorum(quorum=quorum).decide(view, NOW), kind)


@pytest.mark.parametrize(
    ("quorum", "needed", "reported", "valid"),
    [
        (1.0, 4, 3, False),
        (1.0, 4, 4, True),
        (0.5, 4, 1, False),
        (0.5, 4, 2, True),
        (0.5, 5, 2, False),
        (0.5, 5, 3, True),
        (0.7, 10, 6, False),
        (0.7, 10, 7, True),
        (0, 4, 0, False),
        (0, 4, 1, True),
    ],
)
def test_at_the_deadline_the_quorum_decides(quorum, needed, reported, valid):
    view = collecting(needed=needed, invited=needed, reported=reported, deadline_at=NOW, candidates=people(3))

    assert isinstance(Quorum(quorum=quorum).decide(view, NOW), Combine if valid else Invalidate)


@pytest.mark.parametrize(("left_s", "kind"), [(0.001, Wait), (0, Invalidate), (-1, Invalidate)])
def test_the_deadline_is_reached_at_its_very_instant(left_s, kind):
    view = collecting(needed=3, invited=3, reported=2, deadline_at=later(left_s))

    assert isinstance(Quorum().decide(view, NOW), kind)


@pytest.mark.parametrize(
    ("lost", "reported", "ready", "replacements"),
    [(0, 1, 5, 0), (1, 1, 5, 1), (3, 1, 5, 3), (3, 1, 2, 2), (4, 0, 9, 4)],
)
def test_the_lost_are_replaced_by_whoever_is_ready(lost, reported, ready, replacements):
    view = collecting(needed=4, invited=4, lost=lost, reported=reported, candidates=people(ready, prefix="n"))

    step = Quorum().decide(view, NOW)

    if not replacements:
        assert isinstance(step, Wait)
        return
    assert isinstance(step, Invite)
    assert len(set(step.participants)) == replacements
    assert (step.needed, step.deadline_at) == (4, view.deadline_at)


def test_over_selection_makes_up_for_losses_before_anybody_is_replaced():
    view = collecting(needed=4, invited=6, lost=2, reported=1, candidates=people(5, prefix="n"))

    assert isinstance(Quorum().decide(view, NOW), Wait)


@pytest.mark.parametrize(
    ("quorum", "needed", "invited", "lost", "reported", "kind"),
    [
        (0.5, 4, 4, 2, 2, Combine),
        (0.5, 4, 4, 3, 1, Wait),
        (0.5, 4, 4, 1, 2, Wait),  # somebody may still report
        (1.0, 4, 4, 1, 3, Wait),
        (0.5, 4, 4, 4, 0, Wait),
        (0.0, 4, 4, 4, 0, Wait),
    ],
)
def test_when_nobody_is_left_a_quorum_closes_the_round_at_once(quorum, needed, invited, lost, reported, kind):
    blocked = people(2, obstacle="busy", prefix="n")
    view = collecting(
        needed=needed, invited=invited, lost=lost, reported=reported, registered=invited, candidates=blocked
    )

    assert isinstance(Quorum(quorum=quorum).decide(view, NOW), kind)


def test_collecting_says_whom_it_waits_for_and_until_when():
    view = collecting(
        needed=3, invited=3, reported=2, pending=people(1, unseen_s=11, prefix="b"), pending_seen_at=later(-11)
    )

    step = Quorum().decide(view, NOW)

    assert [(r.code, r.text) for r in step.reasons] == [
        (
            "awaiting_updates",
            "2 of 3 needed updates handed in; 1 invited participant still may. b0 was last seen 11 s ago.",
        ),
        ("deadline", "The round is decided in 60 min at the latest."),
    ]
    assert step.until == later(4)


def test_a_round_that_everybody_left_waits_for_somebody_new_until_its_deadline():
    view = collecting(needed=3, invited=3, lost=3, registered=4, candidates=people(1, obstacle="busy"))

    step = Quorum(quorum=0.5).decide(view, NOW)

    assert [r.code for r in step.reasons] == ["awaiting_participants", "obstacle", "deadline"]
    assert "2 are enough at the deadline" in step.reasons[0].text
    assert step.until == view.deadline_at


@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        ({"lost": 1, "declined": 1, "reported": 2}, Invalidate),  # the others are done
        ({"lost": 1, "declined": 1, "reported": 1}, Wait),  # until then, who gave up may take it up again
        ({"lost": 1, "declined": 1, "reported": 2, "registered": 4}, Invalidate),
        ({"lost": 1, "declined": 1, "reported": 2, "candidates": people(1)}, Invite),
        ({"lost": 2, "declined": 1, "reported": 1}, Invalidate),
        ({"lost": 1, "declined": 0, "reported": 2}, Wait),  # who fell silent may come back
        (
            {"lost": 1, "declined": 0, "reported": 2, "removed": 1, "registered": 2},
            Invalidate,
        ),  # who was removed does not
        ({"lost": 1, "declined": 1, "reported": 1, "quorum": 0.6}, Wait),
        ({"lost": 1, "declined": 1, "reported": 2, "quorum": 0.6}, Combine),
        ({"lost": 2, "declined": 2, "reported": 1, "quorum": 0.6}, Invalidate),
        ({"lost": 2, "declined": 1, "reported": 1, "quorum": 0.6}, Wait),  # with who fell silent, it would be enough
        ({"lost": 2, "declined": 1, "removed": 1, "reported": 1, "quorum": 0.6}, Invalidate),
    ],
)
def test_a_round_does_not_wait_for_its_deadline_when_those_left_have_failed(facts, kind):
    options = {"quorum": facts.pop("quorum", 1.0)}
    view = collecting(**{"needed": 3, "invited": 3, "registered": 3, **facts})

    assert isinstance(Quorum(**options).decide(view, NOW), kind)


@pytest.mark.parametrize(("streak", "pause_s"), [(0, 1), (1, 2), (4, 16), (1000, 600)])
def test_failing_again_and_again_is_given_more_time_each_time(streak, pause_s):
    view = collecting(needed=1, invited=1, lost=1, declined=1, registered=1, invalid_streak=streak)
    view = replace(view, started_at=NOW, deadline_at=later(600))
    policy = Quorum(max_invalid_streak=None)

    assert isinstance(policy.decide(view, later(pause_s)), Invalidate)
    assert policy.decide(view, later(pause_s - 0.1)).until == later(pause_s)


@pytest.mark.parametrize(
    ("cap", "earlier", "give_up"), [(None, 99, False), (1, 0, True), (10, 8, False), (10, 9, True)]
)
def test_the_project_gives_up_after_so_many_invalid_rounds_in_a_row(cap, earlier, give_up):
    view = collecting(needed=3, invited=3, reported=1, deadline_at=NOW, invalid_streak=earlier)

    step = Quorum(max_invalid_streak=cap).decide(view, NOW)

    assert step.give_up is give_up
    assert step.reason.facts["streak"] == earlier + 1


@pytest.mark.parametrize(
    ("view", "facts", "error"),
    [
        (collecting(), {"task_round": 2}, Late),
        (collecting(), {"task_round": 4}, Conflict),
        (collecting(phase=Phase.COMBINING), {}, Late),
        (collecting(), {"invited": False}, Forbidden),
        (collecting(), {"earlier": 1}, Conflict),
    ],
)
def test_an_update_that_does_not_fit_is_refused(view, facts, error):
    with pytest.raises(error) as refusal:
        Quorum().admit(view, offer(**facts), NOW)

    assert type(refusal.value) is error


def test_an_invited_participant_may_report_until_the_round_is_decided():
    Quorum().admit(collecting(deadline_at=later(-1)), offer(), NOW)
