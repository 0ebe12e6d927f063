"""The median of every element. Yin et al., "Byzantine-Robust Distributed Learning"."""

from collections.abc import Iterable
from dataclasses import dataclass

from foedus.core.arrays import Arrays
from foedus.core.folding import Update
from foedus.core.strategies.strategy import State
from foedus.core.strategies.votes import Votes, middle


@dataclass(frozen=True, slots=True, kw_only=True)
class Median:
    """Each element becomes its median over the updates, each with one vote; fewer than half cannot push it outside
    of what the others say.

    x[k] <- median(x_1[k], ..., x_n[k])      with deltas: x[k] <- x[k] + median(d_1[k], ..., d_n[k])

    Of an even number, the mean of the two in the middle. A bool is what more than half say.
    Raises: NoUpdates when ``updates`` is empty or weighs nothing.
    Source: Yin et al., ICML 2018, Definition 1 and Algorithm 1, option I.
    """

    def init(self, weights: Arrays) -> State:
        return State(weights)

    def step(self, state: State, updates: Iterable[Update]) -> State:
        return State(Votes.of(state.weights, updates).elect(middle), steps=state.steps + 1)
