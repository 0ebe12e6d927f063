"""Federated averaging. McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized Data"."""

from collections.abc import Iterable
from dataclasses import dataclass

from foedus.core.arrays import Arrays
from foedus.core.folding import Kind, Update, mean_weights
from foedus.core.strategies.strategy import Needs, State


@dataclass(frozen=True, slots=True, kw_only=True)
class FedAvg:
    """The mean of the participants' models, each weighing as many examples as it was trained on.

    x <- sum(n_i * x_i) / sum(n_i)      with deltas: x <- x + sum(n_i * d_i) / sum(n_i)

    Units: ``n_i``, the weight of an update, has any; only ratios count.
    Raises: NoUpdates when ``updates`` is empty or weighs nothing.
    Source: McMahan et al., AISTATS 2017, Algorithm 1.
    """

    @property
    def needs(self) -> Needs:
        return Needs(moderate=(Kind.DELTA,))

    def init(self, weights: Arrays) -> State:
        return State(weights)

    def step(self, state: State, updates: Iterable[Update]) -> State:
        return State(mean_weights(state.weights, updates), steps=state.steps + 1)
