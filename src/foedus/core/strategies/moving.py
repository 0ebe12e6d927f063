"""What strategies share that move a model by a step of their own making: the optimisers on the server."""

from collections.abc import Callable, Iterable, Sequence
from math import isfinite

import numpy as np

from foedus.core.arrays import Arrays, Tensor
from foedus.core.building import each, full_like, is_counter, is_float, select
from foedus.core.errors import Invalid
from foedus.core.folding import Update, mean_delta, mean_weights
from foedus.core.strategies.strategy import State


def check_positive(**options: float) -> None:
    """Raise Invalid, naming the option, unless all are finite and above 0."""
    for name, value in options.items():
        if not (isfinite(value) and value > 0):
            raise Invalid(f"{name} must be above 0, not {value}")


def check_decays(**options: float) -> None:
    """Raise Invalid, naming the option, unless all are from 0 to below 1."""
    for name, value in options.items():
        if not 0 <= value < 1:
            raise Invalid(f"{name} must be from 0 to below 1, not {value}")


def beside_counters(weights: Arrays, moved: Arrays, updates: Sequence[Update]) -> Arrays:
    """``moved``, the new floating-point tensors, with the integers and bools of ``weights``, which take their mean."""
    counters = mean_weights(weights, updates, only=is_counter)
    return Arrays({name: moved[name] if name in moved else counters[name] for name in weights})


def stepped(weights: Arrays, updates: Sequence[Update], factor: float) -> Arrays:
    """``weights`` plus ``factor`` times the weighted mean delta; with a factor of 1, the mean to the last bit."""
    if factor == 1:
        return mean_weights(weights, updates)
    d = mean_delta(weights, updates, only=is_float)
    return beside_counters(weights, each(lambda x, d: x + factor * d, select(weights, is_float), d), updates)


def adaptive_start(weights: Arrays, tau: float) -> State:
    """The state with m = 0 and v = tau**2, for every floating-point tensor."""
    moved = select(weights, is_float)
    return State(weights, {"m": full_like(moved, 0.0), "v": full_like(moved, tau**2)})


def adapted(
    state: State,
    updates: Iterable[Update],
    second: Callable[[Tensor, Tensor], Tensor],
    *,
    lr: float,
    b1: float,
    tau: float,
) -> State:
    """The state after one step of:

    m <- b1*m + (1 - b1)*d      v <- second(v, d)      x <- x + lr*m / (sqrt(v) + tau)

    With d, the weighted mean delta. Integers and bools take their mean.
    Source: Reddi et al., ICLR 2021, Algorithm 2, where the rules differ in ``second`` alone.
    """
    updates = tuple(updates)
    d = mean_delta(state.weights, updates, only=is_float)
    m = each(lambda m, d: b1 * m + (1 - b1) * d, state.moments["m"], d)
    v = each(second, state.moments["v"], d)
    x = each(lambda x, m, v: x + lr * m / (np.sqrt(v) + tau), select(state.weights, is_float), m, v)
    return State(beside_counters(state.weights, x, updates), {"m": m, "v": v}, state.steps + 1)
