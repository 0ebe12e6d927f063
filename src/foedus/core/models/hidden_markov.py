"""Hidden Markov models from sequences whose states are labelled: counts and moments, which add up.

Source: Rabiner, Proceedings of the IEEE 77 (1989). Exact for labelled sequences: nothing is iterated. Emissions are
normal and independent given the state; the likeliest path is Viterbi's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from foedus.core.errors import Conflict, Invalid
from foedus.core.models.model import check_names, check_shapes
from foedus.core.models.sequences import Transitions
from foedus.core.statistics.moments import Floats


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Labelled:
    """Transitions of states, and of each state the count (s,), mean and squares about it (s, columns) of emissions."""

    columns: tuple[str, ...]
    transitions: Transitions
    states: tuple[str, ...]
    counts: Floats
    means: Floats
    squares: Floats

    def __post_init__(self) -> None:
        s, k = len(self.states), len(self.columns)
        check_names(self.columns, self.states)
        check_shapes(counts=(self.counts, (s,)), means=(self.means, (s, k)), squares=(self.squares, (s, k)))
        if (self.counts < 1).any() or (self.squares < 0).any() or list(self.states) != sorted(self.states):
            raise Invalid("labelled sequences have states in order, each of a row or more")

    @classmethod
    def of(cls, columns: tuple[str, ...], sequences: Sequence[tuple[Sequence[str], Floats]]) -> Self:
        """Of sequences: the state of each row, and rows (n, columns). Raises Invalid."""
        for states, rows in sequences:
            if np.shape(rows) != (len(states), len(columns)) or not np.isfinite(rows).all():
                raise Invalid("each sequence has a state and finite emissions for each row")
        labels = np.array([state for states, _ in sequences for state in states], dtype=np.str_)
        table = np.concatenate([np.zeros((0, len(columns))), *(np.asarray(rows, float) for _, rows in sequences)])
        names = tuple(str(name) for name in np.unique(labels))
        groups = [table[labels == name] for name in names]
        shape = (len(names), len(columns))
        return cls(
            columns=columns,
            transitions=Transitions.of(states for states, _ in sequences),
            states=names,
            counts=np.array([float(len(group)) for group in groups]),
            means=np.array([group.mean(axis=0) for group in groups]).reshape(shape),
            squares=np.array([((group - group.mean(axis=0)) ** 2).sum(axis=0) for group in groups]).reshape(shape),
        )

    def merge(self, other: "Labelled") -> "Labelled":
        if self.columns != other.columns:
            raise Conflict("labelled sequences of other columns do not merge")
        states = tuple(sorted({*self.states, *other.states}))
        (na, ma, sa), (nb, mb, sb) = (part.spread_out(states) for part in (self, other))
        n = na + nb
        gap = mb - ma
        return Labelled(
            columns=self.columns,
            transitions=self.transitions.merge(other.transitions),
            states=states,
            counts=n,
            means=ma + gap * (nb / n)[:, None],
            squares=sa + sb + gap**2 * (na * nb / n)[:, None],
        )

    def forget(self, other: "Labelled") -> "Labelled":
        """Raises Conflict for what was never learned."""
        transitions = self.transitions.forget(other.transitions)
        if self.columns != other.columns or not set(other.states) <= set(self.states):
            raise Conflict("these sequences cannot be forgotten: they were never learned")
        (na, ma, sa), (nb, mb, sb) = (part.spread_out(self.states) for part in (self, other))
        n = na - nb
        if (n < 0).any():
            raise Conflict("these sequences cannot be forgotten: they were never learned")
        left = n > 0
        means = ma + (ma - mb) * (nb / np.maximum(n, 1))[:, None]
        squares = np.maximum(sa - sb - (means - mb) ** 2 * (n * nb / na)[:, None], 0.0)  # what rounding leaves
        return Labelled(
            columns=self.columns,
            transitions=transitions,
            states=tuple(state for state, stays in zip(self.states, left, strict=True) if stays),
            counts=n[left],
            means=means[left],
            squares=squares[left],
        )

    def spread_out(self, states: tuple[str, ...]) -> tuple[Floats, Floats, Floats]:
        """Counts, means and squares of these states, zeros where there are none."""
        counts, shape = np.zeros(len(states)), (len(states), len(self.columns))
        means, squares = np.zeros(shape), np.zeros(shape)
        at = [states.index(state) for state in self.states]
        counts[at], means[at], squares[at] = self.counts, self.means, self.squares
        return counts, means, squares


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class HiddenChain:
    """``starts`` (s,), ``steps`` (s, s): probabilities; ``centres``, ``variances`` (s, columns) of emissions."""

    inputs: tuple[str, ...]
    states: tuple[str, ...]
    starts: Floats
    steps: Floats
    centres: Floats
    variances: Floats

    def __post_init__(self) -> None:
        s, k = len(self.states), len(self.inputs)
        check_names(self.inputs, self.states)
        check_shapes(
            starts=(self.starts, (s,)),
            steps=(self.steps, (s, s)),
            centres=(self.centres, (s, k)),
            variances=(self.variances, (s, k)),
        )
        if not s or (self.starts < 0).any() or (self.steps < 0).any() or (self.variances <= 0).any():
            raise Invalid("a hidden chain has states, probabilities and positive variances")

    def path(self, rows: Floats) -> tuple[str, ...]:
        """The likeliest states of a sequence of rows (n, inputs). Raises Invalid for rows of another width."""
        rows = np.asarray(rows, np.float64)
        if rows.ndim != 2 or rows.shape[1] != len(self.inputs):
            raise Invalid("a sequence is a table with the model's inputs")
        if not len(rows):
            return ()
        with np.errstate(divide="ignore"):
            starts, steps = np.log(self.starts), np.log(self.steps)
        gaps = (rows[:, None, :] - self.centres) ** 2 / self.variances
        seen = -0.5 * (gaps + np.log(2 * np.pi * self.variances)).sum(axis=2)
        best, came_from = starts + seen[0], []
        for row in seen[1:]:
            ways = best[:, None] + steps
            came_from.append(ways.argmax(axis=0))
            best = ways.max(axis=0) + row
        places = [int(best.argmax())]
        for source in reversed(came_from):
            places.append(int(source[places[-1]]))
        return tuple(self.states[place] for place in reversed(places))


@dataclass(frozen=True, slots=True, kw_only=True)
class HiddenMarkov:
    """Counts over totals, with ``smoothing`` added to each, and variances over n, with a share ``floor`` of the mean
    variance of a column added. Raises Invalid without sequences.
    """

    smoothing: float = 1.0
    floor: float = 1e-6
    summary: ClassVar[str] = "hmm"
    fitted: ClassVar[type] = HiddenChain

    def __post_init__(self) -> None:
        if not (self.smoothing >= 0 and 0 <= self.floor <= 1):
            raise Invalid("smoothing is not negative, floor is 0 to 1")

    def fit(self, labelled: Labelled) -> HiddenChain:
        if not labelled.states:
            raise Invalid("there are no sequences to make a model of")
        starts = self._shares(labelled, "")
        variances = labelled.squares / labelled.counts[:, None]
        whole = labelled.squares.sum(axis=0) / labelled.counts.sum()
        return HiddenChain(
            inputs=labelled.columns,
            states=labelled.states,
            starts=starts,
            steps=np.array([self._shares(labelled, state) for state in labelled.states]),
            centres=labelled.means,
            variances=variances + np.where(whole > 0, self.floor * whole, 1e-12),
        )

    def _shares(self, labelled: Labelled, context: str) -> Floats:
        row = labelled.transitions.counts.get(context, {})
        counts = np.array([row.get(state, 0) + self.smoothing for state in labelled.states], float)
        return counts / counts.sum() if counts.sum() else np.full(len(counts), 1 / len(counts))
