"""The mean without the extremes. Yin et al., "Byzantine-Robust Distributed Learning"."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from foedus.core.arrays import Arrays, Tensor
from foedus.core.folding import Update
from foedus.core.strategies.strategy import Needs, State, check_byzantine
from foedus.core.strategies.votes import Votes, between


@dataclass(frozen=True, slots=True, kw_only=True)
class TrimmedMean:
    """Each element becomes its mean over the updates, less the f greatest and the f least values; f is ``byzantine``.

    x[k] <- mean of x_(f+1)[k] <= ... <= x_(n-f)[k]      with deltas: added to x[k]

    Raises: NoUpdates when ``updates`` is empty or weighs nothing; Invalid when there are fewer than 2f + 1.
    Source: Yin et al., ICML 2018, Definition 2 (there f = beta * n) and Algorithm 1, option II.
    """

    byzantine: int = 1

    def __post_init__(self) -> None:
        check_byzantine(self.byzantine)

    @property
    def needs(self) -> Needs:
        return Needs(updates=2 * self.byzantine + 1)

    def init(self, weights: Arrays) -> State:
        return State(weights)

    def step(self, state: State, updates: Iterable[Update]) -> State:
        votes = Votes.of(state.weights, updates)
        self.needs.check_updates("trimmedmean", len(votes))
        return State(votes.elect(self._trimmed), steps=state.steps + 1)

    def _trimmed(self, rows: Tensor) -> Tensor:
        kept = np.sort(rows, axis=0)[self.byzantine : len(rows) - self.byzantine]
        return between((kept / len(kept)).sum(axis=0), kept)
