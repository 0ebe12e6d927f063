from datetime import UTC, datetime
from itertools import product

import pytest

from foedus.core.errors import Conflict
from foedus.core.policies.quorum import Quorum
from foedus.core.rounds import Candidate, Combine, Invite, Phase, RoundView, Wait, move, next_step

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LEGAL = {
    (Phase.WAITING, Phase.COLLECTING),
    (Phase.WAITING, Phase.COMBINING),
    (Phase.WAITING, Phase.INVALID),
    (Phase.COLLECTING, Phase.COMBINING),
    (Phase.COLLECTING, Phase.INVALID),
    (Phase.COMBINING, Phase.COMPLETE),
    (Phase.COMBINING, Phase.INVALID),
}


def view(phase: Phase, **facts):
    return RoundView(number=4, phase=phase, opened_at=NOW, **facts)


@pytest.mark.parametrize(("current", "target"), sorted(LEGAL))
def test_a_round_goes_where_it_may_go(current, target):
    assert move(current, target) is target


@pytest.mark.parametrize(("current", "target"), sorted(set(product(Phase, Phase)) - LEGAL))
def test_a_round_goes_nowhere_else(current, target):
    with pytest.raises(Conflict, match=f"from {current} to {target}"):
        move(current, target)


def test_a_round_that_is_over_stays_over():
    assert {phase for phase in Phase if not phase.is_open} == {Phase.COMPLETE, Phase.INVALID}


def test_only_a_waiting_or_collecting_round_asks_its_policy():
    someone = (Candidate("a", "a"),)

    assert isinstance(next_step(Quorum(), view(Phase.WAITING, candidates=someone), NOW), Invite)
    assert isinstance(next_step(Quorum(), view(Phase.COLLECTING, needed=1, reported=1), NOW), Combine)


@pytest.mark.parametrize(
    ("phase", "code", "text"),
    [
        (Phase.COMBINING, "combining", "Round 4 is being combined from 2 updates."),
        (Phase.COMPLETE, "round_over", "Round 4 is complete."),
        (Phase.INVALID, "round_over", "Round 4 is invalid."),
    ],
)
def test_any_other_round_says_what_it_is(phase, code, text):
    step = next_step(Quorum(), view(phase, updates=2), NOW)

    assert isinstance(step, Wait)
    assert [(r.code, r.text) for r in step.reasons] == [(code, text)]
    assert step.until is None


@pytest.mark.parametrize(
    ("invited", "lost", "reported", "outstanding"),
    [(0, 0, 0, 0), (5, 0, 0, 5), (5, 1, 2, 2), (5, 2, 3, 0), (2, 0, 3, 0)],
)
def test_outstanding_are_the_invited_who_may_still_report(invited, lost, reported, outstanding):
    counted = view(Phase.COLLECTING, invited=invited, lost=lost, reported=reported)

    assert counted.outstanding == outstanding


def test_only_candidates_without_an_obstacle_are_ready():
    counted = view(Phase.WAITING, candidates=(Candidate("a", "a", obstacle="on battery"), Candidate("b", "b")))

    assert [c.key for c in counted.ready] == ["b"]


def test_a_draw_depends_on_seed_round_pool_and_invitations_only():
    def draw(**facts):
        candidates = tuple(Candidate(str(n), f"p{n}") for n in range(50))
        view = {"number": 4, "phase": Phase.WAITING, "opened_at": NOW, "candidates": candidates, **facts}
        return RoundView(**view).draw(10).chosen

    same = [draw(), draw(registered=9, updates=3), draw(phase=Phase.COLLECTING)]
    others = [draw(number=5), draw(seed=1), draw(invited=1), draw(candidates=(Candidate("7", "p7"),))]

    assert len(set(same)) == 1
    assert len({*same, *others}) == 5
