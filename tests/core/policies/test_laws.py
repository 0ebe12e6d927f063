"""What every policy obeys, whatever members do: it comes to rest, says why, and time alone cannot trap it."""

from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.policies.world import World

from foedus.core.errors import Conflict, Forbidden, Late
from foedus.core.policies.buffered import Buffered
from foedus.core.policies.quorum import Quorum
from foedus.core.policies.requirement import Requirement
from foedus.core.policies.thresholds import Thresholds
from foedus.core.rounds import Policy, RoundView, Wait

MEMBERS = 5
SILENT_ROUNDS = 210  # as many rounds of one second as it takes until a member unseen for 200 seconds is absent
percents = st.integers(0, 100).map(lambda n: n / 100)
counts = st.integers(1, MEMBERS)
rounds = st.integers(1, 3)
streaks = st.none() | st.integers(1, 3)

thresholds = st.builds(
    Thresholds,
    rounds=rounds,
    ready_ratio=percents,
    valid_ratio=percents,
    max_training_s=st.integers(1, 200),
    ready_window_s=st.integers(1, 200),
    minimum=counts,
    basis=st.sampled_from(["registered", "invited"]),
    max_invalid_streak=streaks,
)
quorums = st.builds(
    Quorum,
    rounds=rounds,
    minimum=counts,
    ratio=percents,
    over_selection=percents,
    quorum=percents,
    deadline_s=st.integers(1, 200),
    heartbeat_timeout_s=st.integers(1, 200),
    max_invalid_streak=streaks,
)
requirements = st.builds(
    Requirement, requirement=st.sampled_from(["", "all_clients"]), furthest_base=st.none() | counts, rounds=rounds
) | st.builds(Requirement, requirement=st.just("require_x_updates"), x=counts, rounds=rounds)
buffers = st.builds(
    Buffered,
    rounds=rounds,
    buffer=st.integers(1, 2 * MEMBERS),
    concurrency=counts,
    max_staleness=st.none() | st.integers(0, 2),
    heartbeat_timeout_s=st.integers(1, 200),
    max_wait_s=st.none() | st.integers(1, 200),
)
policies = st.one_of(thresholds, quorums, requirements, buffers)
events = st.lists(
    st.tuples(
        st.sampled_from(["arrive", "arrive", "hand_in", "hand_in", "leave", "give_up", "hamper", "sleep", "until"]),
        st.integers(0, MEMBERS - 1),
    ),
    max_size=25,
)
happenings = st.builds(lambda here, then: [("arrive", n) for n in range(here)] + then, st.integers(0, MEMBERS), events)
few = settings(max_examples=200, deadline=None)


def live(world: World, happenings: list[tuple[str, int]]) -> None:
    for verb, number in happenings:
        wait = world.settle()
        if wait is None:
            return
        happen(world, verb, number, wait)


def happen(world: World, verb: str, number: int, wait: Wait) -> None:
    key = f"p{number}"
    match verb:
        case "hand_in":
            try_to_hand_in(world, key)
        case "hamper":
            world.hamper(key, "on battery")
        case "sleep":
            world.advance(world.now + timedelta(seconds=1 + 17 * number))
        case "until":
            world.advance(wait.until or world.now + timedelta(hours=1))
        case _:
            getattr(world, verb)(key)


def try_to_hand_in(world: World, key: str) -> None:
    with suppress(Late, Conflict, Forbidden):
        world.hand_in(key)


def assert_time_changes_nothing(world: World) -> None:
    far = world.now + timedelta(days=30)
    assert isinstance(world.policy.decide(world.view(at=far), far), Wait)


@few
@given(policies, happenings)
def test_no_round_is_combined_with_less_than_its_policy_asks_for(policy, happenings):
    world = World.of(policy, MEMBERS)

    live(world, happenings)

    assert all(enough(policy, view, world) for view in world.combined)
    assert len({view.number for view in world.combined}) == len(world.combined)


def enough(policy: Policy, view: RoundView, world: World) -> bool:
    """Said once more, in whole numbers."""
    match policy:
        case Thresholds():
            whole = view.registered if policy.basis == "registered" else view.invited
            return view.reported >= policy.minimum and 100 * view.reported >= round(100 * policy.valid_ratio) * whole
        case Quorum():
            return view.reported >= 1 and 100 * view.reported >= round(100 * policy.quorum) * view.needed
        case Requirement(requirement="all_clients"):
            return view.covered == view.registered
        case Requirement():
            return view.updates >= (policy.x or 1)
        case Buffered():
            return view.updates >= (policy.buffer if policy.max_wait_s is None else 1)
    raise AssertionError(policy)


@few
@given(policies, happenings, st.floats(0.01, 0.99))
def test_until_it_says_so_time_alone_changes_nothing(policy, happenings, part):
    world = World.of(policy, MEMBERS)
    live(world, happenings)
    wait = world.settle()
    if wait is None:
        return

    until = wait.until or world.now + timedelta(days=30)
    between = world.now + part * (until - world.now)
    moments = [moment for moment in (between, until - timedelta(microseconds=1)) if moment > world.now]

    assert all(isinstance(policy.decide(world.view(at=moment), moment), Wait) for moment in moments)


@few
@given(policies, happenings)
def test_when_everybody_falls_silent_the_project_waits_for_people_only(policy, happenings):
    world = World.of(policy, MEMBERS)
    live(world, happenings)
    for key in world.members:
        world.leave(key)

    for _ in range(SILENT_ROUNDS):
        wait = world.settle()
        if wait is None:
            return
        if wait.until is None:
            assert_time_changes_nothing(world)
            return
        world.advance(wait.until)

    pytest.fail(f"still waiting for time alone: {wait}")


@few
@given(policies, happenings)
def test_when_everybody_stays_and_reports_the_project_finishes(policy, happenings):
    world = World.of(policy, MEMBERS)
    live(world, happenings)

    for _ in range(40):
        for key in world.members:
            world.arrive(key)
        wait = world.settle()
        if wait is None:
            return
        workers = list(world.members) if isinstance(policy, Requirement) else world.tasks()
        for key in workers:
            try_to_hand_in(world, key)
            world.settle()
        if not workers:
            assert wait.until, f"stuck though everybody is there: {wait}"
            world.advance(wait.until)

    pytest.fail(f"not finished: {wait}")


@few
@given(policies, happenings, st.sampled_from(["p0", "p3"]))
def test_a_member_that_is_removed_leaves_no_round_hanging(policy, happenings, key):
    world = World.of(policy, MEMBERS)
    live(world, happenings)
    world.expel(key)
    for other in world.members:
        world.leave(other)

    for _ in range(SILENT_ROUNDS):
        wait = world.settle()
        if wait is None:
            return
        if wait.until is None:
            assert_time_changes_nothing(world)
            return
        world.advance(wait.until)

    pytest.fail(f"still waiting for time alone: {wait}")
