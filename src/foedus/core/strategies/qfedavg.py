"""Fairness between participants. Li et al., "Fair Resource Allocation in Federated Learning"."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import fsum, isfinite

from foedus.core.arrays import Arrays
from foedus.core.errors import Invalid, NoUpdates
from foedus.core.folding import Kind, Update
from foedus.core.strategies.moving import check_positive, stepped
from foedus.core.strategies.strategy import Needs, State
from foedus.core.strategies.votes import Votes

LOSS = "loss"
_LEAST_LOSS = 1e-10  # as in the authors' code: a loss of nothing still has a power below 0


@dataclass(frozen=True, slots=True, kw_only=True)
class QFedAvg:
    """Participants whom the present model serves badly pull harder; ``q`` says by how much, 0 not at all.

    x <- x + L * sum(F_i**q * d_i) / sum(h_i)      h_i = q * F_i**(q-1) * L**2 * ||d_i||**2 + L * F_i**q      L = 1/lr

    ``F_i`` is the metric ``loss`` of an update: that of the model as it was received, on the participant's examples.
    ``lr`` is the participants' learning rate. The number of examples does not count. Integers and bools take their
    mean, weighted by F_i**q.
    Raises: NoUpdates when ``updates`` is empty; Invalid when one reports no loss, or one below 0.
    Source: Li et al., ICLR 2020, Algorithm 2.
    """

    q: float = 1.0
    lr: float = 0.1

    def __post_init__(self) -> None:
        check_positive(lr=self.lr)
        if not (isfinite(self.q) and self.q >= 0):
            raise Invalid(f"q must be 0 or more, not {self.q}")

    @property
    def needs(self) -> Needs:
        return Needs(metrics={LOSS: 0.0}, moderate=tuple(Kind))

    def init(self, weights: Arrays) -> State:
        return State(weights)

    def step(self, state: State, updates: Iterable[Update]) -> State:
        updates = sorted(updates, key=lambda update: update.key)
        if not updates:
            raise NoUpdates
        losses = [max(_loss_of(update), _LEAST_LOSS) for update in updates]
        most = max(losses)
        shares = [(loss / most) ** self.q for loss in losses]  # F_i**q itself may pass the largest float
        factor = 1.0 if self.q == 0 else self._factor(state.weights, updates, losses, shares)
        pulled = [replace(update, weight=share) for update, share in zip(updates, shares, strict=True)]
        return State(stepped(state.weights, pulled, factor), steps=state.steps + 1)

    def _factor(
        self, weights: Arrays, updates: Sequence[Update], losses: Sequence[float], shares: Sequence[float]
    ) -> float:
        """L * sum(F_i**q) / sum(h_i): what the weighted mean delta is to be multiplied by."""
        squares = Votes.of(weights, updates).squares()
        steepness = 1 / self.lr
        bends = [
            self.q * share / loss * steepness * float(square)
            for share, loss, square in zip(shares, losses, squares, strict=True)
        ]
        total = fsum(shares)
        return total / (total + fsum(bends))


def _loss_of(update: Update) -> float:
    loss = update.metrics.get(LOSS)
    if loss is None:
        text = "qfedavg needs each participant's loss, and this update has none: report it as the metric 'loss'"
        raise Invalid(text, update=update.key)
    if not (isfinite(loss) and loss >= 0):
        raise Invalid(f"a loss must be a finite number from 0, not {loss}", update=update.key)
    return loss
