"""Federated averaging of proximal training. Li et al., "Federated Optimization in Heterogeneous Networks"."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite

from foedus.core.arrays import Arrays
from foedus.core.errors import Invalid
from foedus.core.folding import Kind, Update, mean_weights
from foedus.core.strategies.strategy import Needs, State


@dataclass(frozen=True, slots=True, kw_only=True)
class FedProx:
    """``fedavg`` of participants who stay near the model that they were given.

    Participant:  minimise  F_i(w) + mu/2 * ||w - x||**2        server:  x <- sum(n_i * w_i) / sum(n_i)

    ``mu`` goes to participants in the settings of each task; ``foedus.sdk.proximal_term`` is its gradient.
    Units: ``mu`` is in those of F over those of a squared weight.
    Raises: NoUpdates when ``updates`` is empty or weighs nothing.
    Source: Li et al., MLSys 2020, Algorithm 2 (there with participants sampled by n_i and a plain mean).
    """

    mu: float = 0.01

    def __post_init__(self) -> None:
        if not (isfinite(self.mu) and self.mu >= 0):
            raise Invalid(f"mu must be 0 or more, not {self.mu}")

    @property
    def needs(self) -> Needs:
        return Needs(settings={"mu": self.mu}, moderate=(Kind.DELTA,))

    def init(self, weights: Arrays) -> State:
        return State(weights)

    def step(self, state: State, updates: Iterable[Update]) -> State:
        return State(mean_weights(state.weights, updates), steps=state.steps + 1)
