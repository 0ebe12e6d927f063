"""Markov chains from counts of what follows what, which add up. Source: Norris, Markov Chains (1997), chapter 1.

Exact: the counts of the sequences of two sites are the sums of theirs.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import log
from typing import ClassVar, Self

from foedus.core.errors import Conflict, Invalid, TooLarge

MAX_ORDER = 8
MAX_CONTEXTS = 200_000
JOINT = "\x1f"  # between the states of a context: no state has it
Counts = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transitions:
    """``counts[context][state]``: how often a state followed a context of up to ``order`` states; the empty context is
    the start of a sequence.
    """

    order: int = 1
    counts: Counts = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 1 <= self.order <= MAX_ORDER:
            raise Invalid(f"the order of a chain is 1 to {MAX_ORDER}")
        if len(self.counts) > MAX_CONTEXTS:
            raise TooLarge(f"a chain has at most {MAX_CONTEXTS} contexts; use a lower order or fewer states")
        if any(n < 1 for row in self.counts.values() for n in row.values()) or not all(self.counts.values()):
            raise Invalid("counts of transitions are whole numbers above 0")

    @classmethod
    def of(cls, sequences: Iterable[Sequence[str]], order: int = 1) -> Self:
        """Raises Invalid for states that are no text or have control characters."""
        counts: dict[str, dict[str, int]] = {}
        for sequence in sequences:
            for k, state in enumerate(sequence):
                _check_state(state)
                row = counts.setdefault(JOINT.join(sequence[max(0, k - order) : k]), {})
                row[state] = row.get(state, 0) + 1
        return cls(order=order, counts=_sorted(counts))

    def merge(self, other: "Transitions") -> "Transitions":
        """Raises Conflict for another order."""
        return self._combined(other, 1)

    def forget(self, other: "Transitions") -> "Transitions":
        """Raises Conflict for what was never learned."""
        return self._combined(other, -1)

    def _combined(self, other: "Transitions", sign: int) -> "Transitions":
        if self.order != other.order:
            raise Conflict(f"chains of order {self.order} and {other.order} do not merge")
        counts = {context: dict(row) for context, row in self.counts.items()}
        for context, row in other.counts.items():
            mine = counts.setdefault(context, {})
            for state, n in row.items():
                mine[state] = mine.get(state, 0) + sign * n
                if mine[state] < 0:
                    raise Conflict("these sequences cannot be forgotten: they were never learned")
        kept = {c: {s: n for s, n in row.items() if n} for c, row in counts.items()}
        return Transitions(order=self.order, counts=_sorted({c: row for c, row in kept.items() if row}))


def _sorted(counts: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    return {context: dict(sorted(counts[context].items())) for context in sorted(counts)}


def _check_state(state: str) -> None:
    if not state.isprintable() or not 0 < len(state) <= 256:
        raise Invalid("states are texts of 1 to 256 printable characters")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """The probability of a state after a context is its count over those of all states, with ``smoothing`` added."""

    order: int
    states: tuple[str, ...]
    counts: Counts
    smoothing: float = 0.0

    def __post_init__(self) -> None:
        if not self.states or not 1 <= self.order <= MAX_ORDER or not self.smoothing >= 0:
            raise Invalid("a chain has an order, states, and a smoothing that is not negative")
        if any(n < 1 for row in self.counts.values() for n in row.values()) or not all(self.counts.values()):
            raise Invalid("counts of transitions are whole numbers above 0")

    def probabilities(self, past: Sequence[str]) -> dict[str, float]:
        """Of each state to come next. A context that was never seen is shortened until one was."""
        context = list(past)[-self.order :]
        row: Mapping[str, int] = {}
        while not (row := self.counts.get(JOINT.join(context), {})) and context:
            context = context[1:]
        total = sum(row.values()) + self.smoothing * len(self.states)
        if not total:
            return dict.fromkeys(self.states, 1 / len(self.states))
        return {state: (row.get(state, 0) + self.smoothing) / total for state in self.states}

    def predict_next(self, past: Sequence[str]) -> tuple[str, float]:
        """The likeliest state to come next, and its probability: ``next`` and ``next.p``."""
        found = self.probabilities(past)
        best = max(found, key=lambda state: found[state])
        return best, found[best]

    def log_likelihood(self, sequence: Sequence[str]) -> float:
        """Of a whole sequence: ``seq.like``. Minus infinity for one that cannot be."""
        total = 0.0
        for k, state in enumerate(sequence):
            p = self.probabilities(sequence[:k]).get(state, 0.0)
            total += log(p) if p > 0 else float("-inf")
        return total


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkovChain:
    """Raises Invalid without sequences."""

    smoothing: float = 0.0
    summary: ClassVar[str] = "mc"
    fitted: ClassVar[type] = Chain

    def __post_init__(self) -> None:
        if not self.smoothing >= 0:
            raise Invalid("smoothing is not negative")

    def fit(self, transitions: Transitions) -> Chain:
        states = tuple(sorted({state for row in transitions.counts.values() for state in row}))
        if not states:
            raise Invalid("there are no sequences to make a chain of")
        return Chain(order=transitions.order, states=states, counts=transitions.counts, smoothing=self.smoothing)
