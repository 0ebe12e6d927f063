"""What must hold of a project after everything that happened to it."""

from collections import Counter
from itertools import pairwise

from tests.chaos.simulation import Simulation

LEGAL = {  # written down once more, on purpose
    "opened": {"started", "combining", "invalid"},
    "started": {"started", "combining", "invalid"},
    "combining": {"complete", "invalid"},
    "complete": set(),
    "invalid": set(),
}


def check(world: Simulation) -> None:
    """Raise AssertionError, which says what is wrong, unless all of it holds."""
    history = world.service.history()
    _check_numbers(history)
    _check_phases(world.service.events)
    _check_counted_once(world, history)
    _check_models(world.service, history)


def _check_numbers(history) -> None:
    assert [number for number, *_ in history] == list(range(1, len(history) + 1)), "rounds are numbered in order"
    assert not [number for number, phase, *_ in history[:-1] if phase.is_open], "an old round is open"


def _check_phases(events) -> None:
    lives: dict[int, list[str]] = {}
    for kind, number in events:
        subject, _, what = kind.partition(".")
        if subject == "round":
            lives.setdefault(number, []).append(what)
        elif kind == "update.accepted":
            assert lives[number][-1] in ("opened", "started"), f"round {number} took an update while {lives[number]}"
    for number, life in lives.items():
        assert life[0] == "opened", f"round {number} began as {life[0]}"
        assert all(after in LEGAL[before] for before, after in pairwise(life)), f"round {number} went {life}"


def _check_counted_once(world: Simulation, history) -> None:
    counted = Counter(update for *_, updates, _ in history for update in updates)
    for receipt in world.ledger:
        assert counted[receipt] == 1, f"{receipt} was acknowledged and is counted {counted[receipt]} times"
    assert not counted.keys() - world.sent, "an update that nobody sent"
    assert max(counted.values(), default=1) == 1, "an update is counted twice"
    if world.plan.asks_once:
        authors = Counter((name, task) for name, task, _ in counted)
        assert max(authors.values(), default=1) == 1, "two updates of one participant for one round"


def _check_models(service, history) -> None:
    """Each model is what an undisturbed run makes of the same updates, in whichever order they come."""
    number = 0
    for round_number, phase, strategy, base, updates, digest in history:
        assert base == number, f"round {round_number} began from checkpoint {base}, not {number}"
        if phase == "complete":
            number += 1
            assert updates, f"round {round_number} is made of nothing"
            assert service.digest_of(number) == digest
            expected = service.expected(strategy, service.digest_of(base), reversed(updates))
            assert digest == expected, f"the model of {number}"
