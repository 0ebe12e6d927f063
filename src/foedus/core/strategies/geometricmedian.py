"""The point with the least sum of distances. Pillutla et al., "Robust Aggregation for Federated Learning"."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from foedus.core.arrays import Arrays, Tensor
from foedus.core.building import is_counter, is_float
from foedus.core.errors import Invalid
from foedus.core.folding import Update, mean_weights
from foedus.core.strategies.moving import check_positive
from foedus.core.strategies.strategy import State
from foedus.core.strategies.votes import Votes, distances, middle

_CONVERGED = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class GeometricMedian:
    """The model becomes the point z with the least sum of distances to the updates, found by smoothed Weiszfeld steps.

    b_i <- 1 / max(nu, ||z - x_i||)      z <- sum(b_i * x_i) / sum(b_i)

    Every z is a mean of the updates, so its distances follow from their inner products: the updates are read twice,
    however many steps it takes. Steps begin at the mean of that half of the updates which is closest to the one in
    the middle. Integers and bools take their median.
    Units: ``nu`` is in the units of a delta's norm.
    Raises: NoUpdates when ``updates`` is empty or weighs nothing.
    Source: Pillutla et al., IEEE TSP 2022, Algorithm 2 (there weighted by examples, which liars choose freely).
    """

    nu: float = 1e-6
    iterations: int = 100

    def __post_init__(self) -> None:
        check_positive(nu=self.nu)
        if self.iterations < 1:
            raise Invalid(f"iterations must be 1 or more, not {self.iterations}")

    def init(self, weights: Arrays) -> State:
        return State(weights)

    def step(self, state: State, updates: Iterable[Update]) -> State:
        votes = Votes.of(state.weights, updates)
        shares = self._shares(votes.products())
        weighted = [replace(u, weight=float(share)) for u, share in zip(votes.updates, shares, strict=True)]
        x = mean_weights(state.weights, weighted, only=is_float)
        counters = votes.elect(middle, is_counter)
        weights = Arrays({name: x[name] if name in x else counters[name] for name in state.weights})
        return State(weights, steps=state.steps + 1)

    def _shares(self, products: Tensor) -> Tensor:
        """How much of each update the median is made of: (updates,), with sum 1. What is infinitely far is no part."""
        near = np.isfinite(np.diagonal(products))
        if not near.any():
            raise Invalid("no update of this round is small enough for its distance to be measured")
        inner = products[np.ix_(near, near)]
        found = _start(distances(inner))
        for _ in range(self.iterations):
            pulls = 1 / np.maximum(self.nu, _distances_from(found, inner))
            before, found = found, pulls / pulls.sum()
            if np.abs(found - before).max() < _CONVERGED:
                break
        shares = np.zeros(len(products))
        shares[near] = found
        return shares


def _start(far: Tensor) -> Tensor:
    """Even shares of the half that is closest to the update with the least sum of distances."""
    central = int(np.argmin(np.sqrt(far).sum(axis=1)))
    closest = np.argsort(far[central], kind="stable")[: len(far) // 2 + 1]
    shares = np.zeros(len(far))
    shares[closest] = 1 / len(closest)
    return shares


def _distances_from(shares: Tensor, inner: Tensor) -> Tensor:
    """||z - x_i|| for z = sum(shares_i * x_i), as ||z||**2 - 2*<z, x_i> + ||x_i||**2."""
    along = inner @ shares
    found: Tensor = np.sqrt(np.maximum(shares @ along - 2 * along + np.diagonal(inner), 0.0))
    return found
