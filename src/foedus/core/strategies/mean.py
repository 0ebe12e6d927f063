"""The plain mean of what participants hand in, as FLaaS and many first prototypes do."""

from collections.abc import Iterable
from dataclasses import dataclass

from foedus.core.arrays import Arrays
from foedus.core.folding import Kind, Update, evenly, mean_weights
from foedus.core.strategies.strategy import Needs, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """Every update counts the same, whatever it weighs.

    x <- (1/n) * sum(x_i)      with deltas: x <- x + (1/n) * sum(d_i)

    Raises: NoUpdates when ``updates`` is empty.
    Source: federated averaging with equal weights; compare ``fedavg``.
    """

    @property
    def needs(self) -> Needs:
        return Needs(moderate=(Kind.DELTA,))

    def init(self, weights: Arrays) -> State:
        return State(weights)

    def step(self, state: State, updates: Iterable[Update]) -> State:
        return State(mean_weights(state.weights, evenly(updates)), steps=state.steps + 1)
