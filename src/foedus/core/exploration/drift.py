"""How far the rows of one project lie from those of another, by their statistics.

Distances are Hellinger's, from 0 to 1, of normal distributions with the moments of either side, and of coins for binary
columns (Pollard, A User's Guide to Measure Theoretic Probability, 2002, section 3.3). ``pca_reconstruction_error`` is
how much more of the second side than of the first is lost by what 95 % of the first side's variance is kept of.
"""

from collections.abc import Callable, Mapping
from math import expm1, sqrt

import numpy as np

from foedus.core.distributions import t_two_sided
from foedus.core.errors import Invalid
from foedus.core.exploration.query import Answer, columns_of
from foedus.core.statistics import Statistics, View
from foedus.core.statistics.moments import Floats

EXPLAINED = 0.95
SINGULAR = 1e-12


def drift(reference: Statistics, later: Statistics, names: tuple[str, ...], metric: str) -> Answer:
    """``driftScore``, and ``NAME_drift`` for each column. Raises Invalid, NotFound."""
    if metric not in METRICS:
        raise Invalid(f"the metric of drift is one of {', '.join(METRICS)}, not {metric[:40]!r}")
    columns = columns_of(reference, names or reference.schema.columns)
    columns_of(later, columns)
    a, b = reference.view(columns), later.view(columns)
    few = [name for name, n in zip(columns, np.minimum(a.count, b.count).tolist(), strict=True) if n < 2]
    if few or not columns:
        raise Invalid(f"either project needs two values of each attribute, which is not so of {few[:5]}")
    score, each = METRICS[metric](a, b)
    found = {f"{name}_drift": value for name, value in zip(columns, each.tolist(), strict=True)}
    return {"driftScore": score, **found}


def _marginal(a: View, b: View) -> tuple[float, Floats]:
    """The mean of the columns' distances."""
    each = _distances(a, b)
    return float(each.mean()), each


def _tested(a: View, b: View) -> tuple[float, Floats]:
    """1 - p of Welch's test for each column; of all together with p as many times as great as there are columns."""
    squares = np.stack([a.variance() / a.count, b.variance() / b.count])
    error = np.sqrt(squares.sum(0))
    gap = np.abs(a.mean - b.mean)
    p = np.where(gap > 0, 0.0, 1.0)
    for k in np.flatnonzero(error > 0).tolist():
        freedom = squares[:, k].sum() ** 2 / (squares[:, k] ** 2 / (np.array([a.count[k], b.count[k]]) - 1)).sum()
        p[k] = t_two_sided(float(gap[k] / error[k]), float(freedom))
    return float(1 - min(1.0, len(p) * p.min())), 1 - p


def _whole(a: View, b: View) -> tuple[float, Floats]:
    """The distance of the joint distributions. Raises Invalid where columns determine one another."""
    scale = np.sqrt((a.variance() + b.variance()) / 2)
    if not (scale > 0).all():
        raise Invalid("the global metric needs attributes that vary; leave out the others, or ask for a marginal one")
    first, second = (np.nan_to_num(view.covariance()) / np.outer(scale, scale) for view in (a, b))
    middle, gap = (first + second) / 2, (a.mean - b.mean) / scale
    logs = [_log_determinant(matrix) for matrix in (first, second, middle)]
    apart = float(gap @ np.linalg.solve(middle, gap)) / 8 + (logs[2] - (logs[0] + logs[1]) / 2) / 2
    return sqrt(max(0.0, -expm1(-apart))), _distances(a, b)


def _log_determinant(matrix: Floats) -> float:
    values = np.linalg.eigvalsh(matrix)
    if values[0] <= SINGULAR * values[-1]:
        raise Invalid("attributes determine one another on one side: leave some out, or ask for a marginal metric")
    return float(np.log(values).sum())


def _reconstruction(a: View, b: View) -> tuple[float, Floats]:
    """Errors relative to those of the first side, less 1: 0 without drift, and not bounded."""
    scale = np.sqrt(np.where(a.variance() > 0, a.variance(), 1.0))
    first, second = (np.nan_to_num(view.covariance()) / np.outer(scale, scale) for view in (a, b))
    gap = (b.mean - a.mean) / scale
    values, vectors = np.linalg.eigh(first)
    lost = np.cumsum(np.maximum(values, 0.0)) <= (1 - EXPLAINED) * values.sum()
    lost[0] = True  # something is always lost, or there would be nothing to compare
    left = vectors[:, lost] @ vectors[:, lost].T
    before, after = (np.diagonal(left @ moment @ left) for moment in (first, second + np.outer(gap, gap)))
    floor = SINGULAR * len(scale)
    return float(after.sum() / max(before.sum(), floor) - 1), after / np.maximum(before, floor) - 1


def _distances(a: View, b: View) -> Floats:
    """Hellinger's distance of each column."""
    spread, gap = a.variance() + b.variance(), (a.mean - b.mean) ** 2
    wide = np.where(spread > 0, spread, 1.0)
    shared = np.sqrt(2 * np.sqrt(a.variance() * b.variance()) / wide) * np.exp(-gap / (4 * wide))
    normal = np.where(spread > 0, shared, (gap == 0).astype(np.float64))
    p, q = np.clip(a.mean, 0, 1), np.clip(b.mean, 0, 1)
    coin = np.sqrt(p * q) + np.sqrt((1 - p) * (1 - q))
    found: Floats = np.sqrt(np.maximum(0.0, 1 - np.where(a.binary & b.binary, coin, normal)))
    return found


METRICS: Mapping[str, Callable[[View, View], tuple[float, Floats]]] = {
    "pca_reconstruction_error": _reconstruction,
    "global": _whole,
    "marginal_stat": _tested,
    "marginal_non_stat": _marginal,
}
