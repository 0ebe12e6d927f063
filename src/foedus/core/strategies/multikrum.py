"""The mean of the updates that Krum finds best. Blanchard et al., "Machine Learning with Adversaries"."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from foedus.core.arrays import Arrays
from foedus.core.errors import Invalid
from foedus.core.folding import Update, mean_weights
from foedus.core.strategies.krum import scores
from foedus.core.strategies.strategy import Needs, State, check_byzantine
from foedus.core.strategies.votes import Votes, distances


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiKrum:
    """The plain mean of the ``keep`` updates with the best scores of ``krum``; without it, of n - f - 2.

    f is ``byzantine``. More than n - f - 2 would let liars in that krum's proof keeps out.
    Raises: NoUpdates when ``updates`` is empty or weighs nothing; Invalid when there are fewer than 2f + 3, or too few
    for ``keep``.
    Source: Blanchard et al., NeurIPS 2017, section 5; its bound as in El Mhamdi et al., ICML 2018.
    """

    byzantine: int = 1
    keep: int | None = None

    def __post_init__(self) -> None:
        check_byzantine(self.byzantine)
        if self.keep is not None and self.keep < 1:
            raise Invalid(f"keep must be 1 or more, not {self.keep}")

    @property
    def needs(self) -> Needs:
        return Needs(updates=max(2 * self.byzantine + 3, self.byzantine + 2 + (self.keep or 1)))

    def init(self, weights: Arrays) -> State:
        return State(weights)

    def step(self, state: State, updates: Iterable[Update]) -> State:
        votes = Votes.of(state.weights, updates)
        self.needs.check_updates("multikrum", len(votes))
        ranking = np.argsort(scores(distances(votes.products()), self.byzantine), kind="stable")
        best = ranking[: self.keep or len(votes) - self.byzantine - 2]
        return State(mean_weights(state.weights, [votes.updates[i] for i in best]), steps=state.steps + 1)
