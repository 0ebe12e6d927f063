"""Yogi on the server. Reddi et al., "Adaptive Federated Optimization"."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from foedus.core.arrays import Arrays
from foedus.core.folding import Kind, Update
from foedus.core.strategies.moving import adapted, adaptive_start, check_decays, check_positive
from foedus.core.strategies.strategy import Needs, State


@dataclass(frozen=True, slots=True, kw_only=True)
class FedYogi:
    """Like ``fedadam``, but the size of steps recovers slowly: v moves by at most (1 - b2)*d**2 a round.

    m <- b1*m + (1 - b1)*d      v <- v - (1 - b2)*d**2*sign(v - d**2)      x <- x + lr*m / (sqrt(v) + tau)

    Starts from m = 0 and v = tau**2. Integers and bools take their mean.
    Shapes, units and raises: as ``fedadam``.
    Source: Reddi et al., ICLR 2021, Algorithm 2; Zaheer et al., NeurIPS 2018.
    """

    lr: float = 0.1
    b1: float = 0.9
    b2: float = 0.99
    tau: float = 1e-3

    def __post_init__(self) -> None:
        check_positive(lr=self.lr, tau=self.tau)
        check_decays(b1=self.b1, b2=self.b2)

    @property
    def needs(self) -> Needs:
        return Needs(moderate=tuple(Kind))

    def init(self, weights: Arrays) -> State:
        return adaptive_start(weights, self.tau)

    def step(self, state: State, updates: Iterable[Update]) -> State:
        b2 = self.b2
        return adapted(
            state,
            updates,
            lambda v, d: v - (1 - b2) * d**2 * np.sign(v - d**2),
            lr=self.lr,
            b1=self.b1,
            tau=self.tau,
        )
