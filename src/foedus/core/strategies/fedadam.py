"""Adam on the server. Reddi et al., "Adaptive Federated Optimization"."""

from collections.abc import Iterable
from dataclasses import dataclass

from foedus.core.arrays import Arrays
from foedus.core.folding import Kind, Update
from foedus.core.strategies.moving import adapted, adaptive_start, check_decays, check_positive
from foedus.core.strategies.strategy import Needs, State


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
        check_positive(lr=self.lr, tau=self.tau)
        check_decays(b1=self.b1, b2=self.b2)

    @property
    def needs(self) -> Needs:
        return Needs(moderate=tuple(Kind))

    def init(self, weights: Arrays) -> State:
        return adaptive_start(weights, self.tau)

    def step(self, state: State, updates: Iterable[Update]) -> State:
        b2 = self.b2
        return adapted(state, updates, lambda v, d: b2 * v + (1 - b2) * d**2, lr=self.lr, b1=self.b1, tau=self.tau)
