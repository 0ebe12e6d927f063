"""The update closest to the others. Blanchard et al., "Machine Learning with Adversaries"."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from foedus.core.arrays import Arrays, Tensor
from foedus.core.folding import Update, mean_weights
from foedus.core.strategies.strategy import Needs, State, check_byzantine
from foedus.core.strategies.votes import Votes, distances


@dataclass(frozen=True, slots=True, kw_only=True)
class Krum:
    """The one update becomes the model that has the least sum of squared distances to its n - f - 2 closest others.

    f is ``byzantine``. Distances are over all floating-point tensors together; ties go to the first by key.
    Raises: NoUpdates when ``updates`` is empty or weighs nothing; Invalid when there are fewer than 2f + 3.
    Source: Blanchard et al., NeurIPS 2017, section 4.
    """

    byzantine: int = 1

    def __post_init__(self) -> None:
        check_byzantine(self.byzantine)

    @property
    def needs(self) -> Needs:
        return Needs(updates=2 * self.byzantine + 3)

    def init(self, weights: Arrays) -> State:
        return State(weights)

    def step(self, state: State, updates: Iterable[Update]) -> State:
        votes = Votes.of(state.weights, updates)
        self.needs.check_updates("krum", len(votes))
        best = int(np.argmin(scores(distances(votes.products()), self.byzantine)))
        return State(mean_weights(state.weights, [votes.updates[best]]), steps=state.steps + 1)


def scores(far: Tensor, byzantine: int) -> Tensor:
    """The sum of the squared distances from each update to its n - f - 2 closest others, at least one of them.

    ``far``: squared distances, (updates, updates). The first column of the sorted rows is each one's own 0.
    """
    neighbours = max(1, len(far) - byzantine - 2)
    closest: Tensor = np.sort(far, axis=1)[:, 1 : neighbours + 1]
    return np.asarray(closest.sum(axis=1))
