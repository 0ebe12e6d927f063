"""Adam on the server. Reddi et al., "Adaptive Federated Optimization"."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite

import numpy as np

from foedus.core.arrays import Arrays
from foedus.core.errors import Invalid
from foedus.core.folding import (
    Update,
    each,
    full_like,
    is_counter,
    is_float,
    mean_delta,
    mean_weights,
    select,
)
from foedus.core.strategies.strategy import State


@dataclass(frozen=True, slots=True, kw_only=True)
class FedAdam:
    """Adam on the server, driven by ``d``, the weighted mean delta of a round.

    m <- b1*m + (1 - b1)*d      v <- b2*v + (1 - b2)*d**2      x <- x + lr*m / (sqrt(v) + tau)

    Starts from m = 0 and v = tau**2, without correction of bias. Integers and bools take their mean, as in ``fedavg``.
    Shapes: each moment keeps the shape of its namesake in ``state.weights``, in float32 or wider.
    Units: ``tau`` is in the units of a delta; the others have none.
    Raises: NoUpdates when ``updates`` is empty or weighs nothing.
    Source: Reddi et al., ICLR 2021, Algorithm 2 (there with equal weights).
    """

    lr: float = 0.1
    b1: float = 0.9
    b2: float = 0.99
    tau: float = 1e-3

    def __post_init__(self) -> None:
        if not (isfinite(self.lr) and self.lr > 0):
            raise Invalid(f"lr must be above 0, not {self.lr}")
        if not (0 <= self.b1 < 1 and 0 <= self.b2 < 1):
            raise Invalid(f"b1 and b2 must be from 0 to below 1, not {self.b1} and {self.b2}")
        if not (isfinite(self.tau) and self.tau > 0):
            raise Invalid(f"tau must be above 0, not {self.tau}")

    def init(self, weights: Arrays) -> State:
        moved = select(weights, is_float)
        return State(weights, {"m": full_like(moved, 0.0), "v": full_like(moved, self.tau**2)})

    def step(self, state: State, updates: Iterable[Update]) -> State:
        updates = tuple(updates)
        d = mean_delta(state.weights, updates, only=is_float)
        m = each(lambda m, d: self.b1 * m + (1 - self.b1) * d, state.moments["m"], d)
        v = each(lambda v, d: self.b2 * v + (1 - self.b2) * d**2, state.moments["v"], d)
        x = each(lambda x, m, v: x + self.lr * m / (np.sqrt(v) + self.tau), select(state.weights, is_float), m, v)
        counters = mean_weights(state.weights, updates, only=is_counter)
        weights = Arrays({name: x[name] if name in x else counters[name] for name in state.weights})
        return State(weights, {"m": m, "v": v}, state.steps + 1)
