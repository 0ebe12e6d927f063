"""Buffered asynchronous aggregation. Nguyen et al., "Federated Learning with Buffered Asynchronous Aggregation"."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import fsum, isfinite

from foedus.core.arrays import Arrays
from foedus.core.errors import Invalid, NoUpdates
from foedus.core.folding import Kind, Update
from foedus.core.strategies.moving import check_positive, stepped
from foedus.core.strategies.strategy import Needs, State


@dataclass(frozen=True, slots=True, kw_only=True)
class FedBuff:
    """Deltas count the less, the older the model is that they were trained from.

    x <- x + lr/K * sum(s_i * d_i)      s_i = (1 + staleness_i)**-exponent      K, the number of updates

    Integers and bools take their mean, weighted by s_i.
    What weights are worth that were trained from an older model, nobody can say without that model: hence deltas.
    Raises: NoUpdates when ``updates`` is empty; Invalid when an update of weights is stale.
    Source: Nguyen et al., AISTATS 2022, Algorithm 1; s_i as in their section 5, after Xie et al., 2019.
    """

    lr: float = 1.0
    exponent: float = 0.5

    def __post_init__(self) -> None:
        check_positive(lr=self.lr)
        if not (isfinite(self.exponent) and self.exponent >= 0):
            raise Invalid(f"exponent must be 0 or more, not {self.exponent}")

    @property
    def needs(self) -> Needs:
        return Needs(kind=Kind.DELTA, moderate=(Kind.DELTA,))

    def init(self, weights: Arrays) -> State:
        return State(weights)

    def step(self, state: State, updates: Iterable[Update]) -> State:
        discounted = [self._discounted(update) for update in updates]
        if not discounted:
            raise NoUpdates
        factor = self.lr * (fsum(u.weight for u in discounted) / len(discounted))
        return State(stepped(state.weights, discounted, factor), steps=state.steps + 1)

    def _discounted(self, update: Update) -> Update:
        if update.kind is Kind.WEIGHTS and update.staleness:
            text = "weights from an older model cannot be combined by fedbuff: let the project's update_kind be delta"
            raise Invalid(text, update=update.key)
        return replace(update, weight=(1.0 + update.staleness) ** -self.exponent)
