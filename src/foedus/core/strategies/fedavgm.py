"""Momentum on the server. Hsu et al., "Measuring the Effects of Non-Identical Data Distribution"."""

from collections.abc import Iterable
from dataclasses import dataclass

from foedus.core.arrays import Arrays
from foedus.core.building import each, full_like, is_float, select
from foedus.core.folding import Kind, Update, mean_delta
from foedus.core.strategies.moving import beside_counters, check_decays, check_positive
from foedus.core.strategies.strategy import Needs, State


@dataclass(frozen=True, slots=True, kw_only=True)
class FedAvgM:
    """Federated averaging whose step goes on partly where the steps before it went.

    m <- momentum*m + d      x <- x + lr*m      with d, the weighted mean delta of a round

    Integers and bools take their mean.
    Shapes: ``m`` has the floating-point tensors of ``state.weights``, in float32 or wider.
    Raises: NoUpdates when ``updates`` is empty or weighs nothing.
    Source: Hsu et al., 2019, section 4.3 (there with equal weights and lr = 1).
    """

    lr: float = 1.0
    momentum: float = 0.9

    def __post_init__(self) -> None:
        check_positive(lr=self.lr)
        check_decays(momentum=self.momentum)

    @property
    def needs(self) -> Needs:
        return Needs(moderate=tuple(Kind))

    def init(self, weights: Arrays) -> State:
        return State(weights, {"m": full_like(select(weights, is_float), 0.0)})

    def step(self, state: State, updates: Iterable[Update]) -> State:
        updates = tuple(updates)
        d = mean_delta(state.weights, updates, only=is_float)
        m = each(lambda m, d: self.momentum * m + d, state.moments["m"], d)
        x = each(lambda x, m: x + self.lr * m, select(state.weights, is_float), m)
        return State(beside_counters(state.weights, x, updates), {"m": m}, state.steps + 1)
