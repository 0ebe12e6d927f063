"""How a column is distributed where a binary one is 1, when no sketch of those rows is kept.

Whether b is 1 is a logistic regression on x and x**2. To fit it by maximum likelihood takes the sums of 1, x and x**2
where b is 1, which moments hold exactly, and the distribution of all x, which the sketch holds: so this is the fit on
the rows themselves, up to the width of bins. Count, mean and variance come out as they are; the shape is approximate,
and exact where log-odds are a parabola in x, as between two normal distributions.

Source of the fit: Hastie, Tibshirani, Friedman, The Elements of Statistical Learning, 4.4.
"""

from dataclasses import dataclass

import numpy as np

from foedus.core.errors import Invalid
from foedus.core.statistics import View
from foedus.core.statistics.moments import Floats

_STEPS = 100
_RIDGE = 1e-8  # of the rows: keeps the fit finite where x tells b without fail


@dataclass(frozen=True, slots=True, eq=False)
class Bins:
    """``counts`` of values from ``low`` to ``high``, ascending, evenly spread in each bin; counts are not whole."""

    low: Floats
    high: Floats
    counts: Floats

    @property
    def total(self) -> float:
        return float(self.counts.sum())

    def below(self, points: Floats) -> Floats:
        """How many values are below each point."""
        upto = np.cumsum(self.counts)
        edges = np.column_stack([self.low, self.high]).ravel()
        found: Floats = np.interp(points, edges, np.column_stack([upto - self.counts, upto]).ravel())
        return found

    def at(self, rank: float) -> float:
        """The value below which so many are."""
        upto = np.cumsum(self.counts)
        k = min(int(np.searchsorted(upto, rank)), len(upto) - 1)
        within = 1.0 - (upto[k] - rank) / self.counts[k] if self.counts[k] else 0.5
        return float(self.low[k] + np.clip(within, 0.0, 1.0) * (self.high[k] - self.low[k]))


def conditional_bins(view: View) -> Bins:
    """Of the first column of ``view`` where the second, which is binary, is 1. Raises Invalid without such rows, or
    without a sketch.
    """
    sketch, group = view.sketch(0), view.where(0, 1)
    if not group.n:
        raise Invalid(f"there are no rows where {view.columns[1]!r} is 1", column=view.columns[1])
    low, high = (np.clip(edge, view.least[0], view.most[0]) for edge in sketch.edges)
    weights: Floats = sketch.counts.astype(np.float64) * (float(view.n[0, 1]) / sketch.n)
    mean, scale = float(view.mean[0]), float(np.sqrt(view.variance()[0])) or 1.0
    z = (0.5 * (low + high) - mean) / scale
    shift = (group.mean - mean) / scale
    sums = group.n * np.array([1.0, shift, group.variance / scale**2 + shift**2])
    share = _fitted(np.stack([np.ones_like(z), z, z * z]), weights, sums)
    counts = weights * share
    return Bins(low, high, counts * (group.n / counts.sum()))


def _fitted(powers: Floats, weights: Floats, sums: Floats) -> Floats:
    """The probability that b is 1 in each bin: Newton's method, each step halved until it helps."""
    ridge = _RIDGE * weights.sum()
    at = np.zeros(len(powers))

    def loss(at: Floats) -> float:
        return float(weights @ np.logaddexp(0.0, at @ powers) - at @ sums + 0.5 * ridge * at @ at)

    before = loss(at)
    for _ in range(_STEPS):
        share = _logistic(at @ powers)
        slope = powers @ (weights * share) - sums + ridge * at
        curve = (powers * (weights * share * (1 - share))) @ powers.T + ridge * np.eye(len(at))
        step = np.linalg.solve(curve, slope)
        while (after := loss(at - step)) > before and np.abs(step).max() > 1e-12:
            step = step / 2
        at, gain, before = at - step, before - after, after
        if gain <= 1e-12 * abs(before):
            break
    return _logistic(at @ powers)


def _logistic(x: Floats) -> Floats:
    return 0.5 + 0.5 * np.tanh(0.5 * x)
