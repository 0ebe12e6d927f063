"""Adagrad on the server. Reddi et al., "Adaptive Federated Optimization"."""

from collections.abc import Iterable
from dataclasses import dataclass

from foedus.core.arrays import Arrays
from foedus.core.folding import Kind, Update
from foedus.core.strategies.moving import adapted, adaptive_start, check_decays, check_positive
from foedus.core.strategies.strategy import Needs, State


@dataclass(frozen=True, slots=True, kw_only=True)
class FedAdagrad:
    """Steps of an element shrink with the sum of its squared deltas: good where few participants have a feature.

    m <- b1*m + (1 - b1)*d      v <- v + d**2      x <- x + lr*m / (sqrt(v) + tau)

    Starts from m = 0 and v = tau**2. Integers and bools take their mean.
    Shapes, units and raises: as ``fedadam``.
    Source: Reddi et al., ICLR 2021, Algorithm 2; its experiments have b1 = 0.
    """

    lr: float = 0.1
    b1: float = 0.0
    tau: float = 1e-3

    def __post_init__(self) -> None:
        check_positive(lr=self.lr, tau=self.tau)
        check_decays(b1=self.b1)

    @property
    def needs(self) -> Needs:
        return Needs(moderate=tuple(Kind))

    def init(self, weights: Arrays) -> State:
        return adaptive_start(weights, self.tau)

    def step(self, state: State, updates: Iterable[Update]) -> State:
        return adapted(state, updates, lambda v, d: v + d**2, lr=self.lr, b1=self.b1, tau=self.tau)
