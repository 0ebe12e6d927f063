import pytest
from tests.core.policies.views import NOW, collecting, later, offer, people, waiting
from tests.core.policies.world import World

from foedus.core.errors import Conflict, Late
from foedus.core.policies.buffered import Buffered
from foedus.core.rounds import Combine, Invite, Phase, Wait


@pytest.mark.parametrize("phase", [Phase.WAITING, Phase.COLLECTING])
@pytest.mark.parametrize(("updates", "kind"), [(0, Wait), (9, Wait), (10, Combine), (11, Combine)])
def test_a_full_buffer_is_combined(phase, updates, kind):
    view = collecting(phase=phase, updates=updates, in_flight=5)

    assert isinstance(Buffered().decide(view, NOW), kind)


@pytest.mark.parametrize(
    ("concurrency", "in_flight", "ready", "invited"),
    [(4, 0, 9, 4), (4, 3, 9, 1), (4, 4, 9, 0), (4, 5, 9, 0), (4, 0, 2, 2), (4, 0, 0, 0)],
)
def test_free_places_are_taken_by_whoever_is_ready(concurrency, in_flight, ready, invited):
    view = collecting(in_flight=in_flight, candidates=people(ready) + people(3, obstacle="busy", prefix="q"))

    step = Buffered(concurrency=concurrency).decide(view, NOW)

    if not invited:
        assert isinstance(step, Wait)
        return
    assert isinstance(step, Invite)
    assert len(set(step.participants)) == invited
    assert all(key.startswith("p") for key in step.participants)
    assert step.deadline_at is None


def test_a_draw_does_not_depend_on_the_order_of_candidates():
    def draw(candidates, **facts):
        return Buffered(concurrency=10).decide(waiting(candidates=candidates, **facts), NOW).participants

    assert draw(people(50)) == draw(people(50)[::-1])
    assert draw(people(50)) != draw(people(50), seed=1)


@pytest.mark.parametrize(
    ("updates", "age_s", "kind"), [(1, 59.9, Wait), (1, 60, Combine), (1, 61, Combine), (0, 61, Wait)]
)
def test_after_the_longest_wait_one_update_is_enough(updates, age_s, kind):
    view = collecting(updates=updates, opened_at=later(-900), started_at=later(-age_s))

    assert isinstance(Buffered(max_wait_s=60).decide(view, NOW), kind)


def test_a_round_carried_by_earlier_invitations_ages_from_its_opening():
    view = waiting(updates=1, opened_at=later(-60), started_at=None)

    assert isinstance(Buffered(max_wait_s=60).decide(view, NOW), Combine)


@pytest.mark.parametrize(
    ("max_wait_s", "updates", "in_flight", "until_s"),
    [
        (None, 1, 0, None),
        (None, 1, 1, 4),
        (62, 1, 1, 2),
        (90, 1, 1, 4),
        (90, 1, 0, 30),
        (90, 0, 0, 30),
        (60, 0, 0, None),
    ],
)
def test_a_wait_ends_with_the_longest_wait_or_the_first_absence(max_wait_s, updates, in_flight, until_s):
    view = collecting(updates=updates, in_flight=in_flight, pending=people(1), pending_seen_at=later(-11))

    step = Buffered(max_wait_s=max_wait_s).decide(view, NOW)

    assert step.until == (None if until_s is None else later(until_s))


def test_waiting_says_how_full_the_buffer_is_and_who_trains():
    view = collecting(registered=4, updates=3, in_flight=1, pending=people(1, unseen_s=11))

    step = Buffered().decide(view, NOW)

    assert [(r.code, r.text) for r in step.reasons] == [
        ("buffer_not_full", "3 of 10 updates are in the buffer; 1 participant in training. p0 was last seen 11 s ago."),
        ("absent", "3 participants not seen in the last 15 s."),
    ]


def test_the_absent_are_not_blamed_while_every_place_is_taken():
    view = collecting(registered=4, in_flight=1)

    assert [r.code for r in Buffered(concurrency=1).decide(view, NOW).reasons] == ["buffer_not_full"]


@pytest.mark.parametrize(
    ("bound", "staleness", "late"), [(None, 999, False), (0, 0, False), (0, 1, True), (2, 2, False), (2, 3, True)]
)
def test_an_update_from_too_old_a_model_is_late(bound, staleness, late):
    policy = Buffered(max_staleness=bound)

    if late:
        with pytest.raises(Late, match=f"{staleness} checkpoints old; at most {bound} are allowed"):
            policy.admit(collecting(), offer(staleness=staleness, task_round=1), NOW)
    else:
        policy.admit(collecting(), offer(staleness=staleness, task_round=1), NOW)


def test_an_update_without_an_open_task_is_refused():
    with pytest.raises(Conflict, match="no open task"):
        Buffered().admit(collecting(), offer(invited=False), NOW)


def test_a_round_that_is_being_combined_takes_no_update():
    with pytest.raises(Late, match="being combined"):
        Buffered().admit(collecting(phase=Phase.COMBINING), offer(), NOW)


def test_who_trains_across_the_end_of_a_round_hands_in_to_the_next():
    world = World.of(Buffered(buffer=2, concurrency=3), 3)
    for key in world.members:
        world.arrive(key)
    world.settle()

    world.hand_in("p0")
    world.hand_in("p1")
    world.settle()
    world.hand_in("p2")

    assert world.checkpoint == 1
    assert [(r.number, r.phase, r.authors) for r in world.rounds] == [
        (1, Phase.COMPLETE, ["p0", "p1"]),
        (2, Phase.COLLECTING, ["p2"]),
    ]


def test_nobody_trains_twice_from_the_same_model():
    world = World.of(Buffered(buffer=5, rounds=1), 2)
    for key in world.members:
        world.arrive(key)
    world.settle()

    world.hand_in("p0")
    world.settle()
    waiting_for = world.tasks()
    world.hand_in("p1")
    world.settle()

    assert waiting_for == ["p1"]
    assert world.finished


@pytest.mark.parametrize(
    ("registered", "reported", "in_flight", "kind"),
    [(3, 2, 0, Wait), (3, 3, 0, Combine), (3, 3, 1, Wait), (0, 0, 0, Wait)],
)
def test_a_buffer_larger_than_the_project_is_full_with_an_update_of_every_member(registered, reported, in_flight, kind):
    view = collecting(registered=registered, reported=reported, updates=reported, in_flight=in_flight)

    assert isinstance(Buffered(buffer=10).decide(view, NOW), kind)
