"""Krum, then a trimmed mean. El Mhamdi et al., "The Hidden Vulnerability of Distributed Learning in Byzantium"."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from foedus.core.arrays import Arrays, Tensor
from foedus.core.folding import Update
from foedus.core.strategies.krum import scores
from foedus.core.strategies.strategy import Needs, State, check_byzantine
from foedus.core.strategies.votes import Votes, between, distances, middle


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulyan:
    """Chooses n - 2f updates, by krum one after the other; each element becomes the mean of the n - 4f chosen values
    that are closest to their median.

    f is ``byzantine``. Krum alone can be led astray in few elements of many; the second step closes that hole.
    Raises: NoUpdates when ``updates`` is empty or weighs nothing; Invalid when there are fewer than 4f + 3.
    Source: El Mhamdi et al., ICML 2018, section 4.
    """

    byzantine: int = 1

    def __post_init__(self) -> None:
        check_byzantine(self.byzantine)

    @property
    def needs(self) -> Needs:
        return Needs(updates=4 * self.byzantine + 3)

    def init(self, weights: Arrays) -> State:
        return State(weights)

    def step(self, state: State, updates: Iterable[Update]) -> State:
        votes = Votes.of(state.weights, updates)
        self.needs.check_updates("bulyan", len(votes))
        chosen = self._chosen(distances(votes.products()))
        elected = replace(votes, updates=tuple(votes.updates[i] for i in chosen))
        return State(elected.elect(self._central_mean), steps=state.steps + 1)

    def _chosen(self, far: Tensor) -> list[int]:
        """Krum's choice, then its choice among the rest, and so on; in the order of the updates."""
        left = list(range(len(far)))
        for _ in range(2 * self.byzantine, len(far)):
            best = int(np.argmin(scores(far[np.ix_(left, left)], self.byzantine)))
            left.pop(best)
        return sorted(set(range(len(far))) - set(left))

    def _central_mean(self, rows: Tensor) -> Tensor:
        away = np.abs(rows / 2 - middle(rows) / 2)  # the distance itself may be beyond float64
        order = np.argsort(away, axis=0, kind="stable")
        kept = np.take_along_axis(rows, order[: len(rows) - 2 * self.byzantine], axis=0)
        return between((kept / len(kept)).sum(axis=0), kept)
