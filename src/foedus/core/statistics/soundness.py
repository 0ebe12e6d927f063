"""Whether statistics from elsewhere can be statistics of any rows at all.

Whole numbers must fit exactly, floats up to rounding. What passes may still be invented, but merges without harm.
"""

import numpy as np

from foedus.core.errors import Invalid
from foedus.core.statistics.moments import Floats, Moments
from foedus.core.statistics.schema import Kind, Schema
from foedus.core.statistics.sketch import Sketch
from foedus.core.statistics.summary import Summary
from foedus.core.statistics.sums import MAX_MAGNITUDE

_SLACK = 1e-6  # of what a sum could be: far above rounding


def check_summary(summary: Summary, schema: Schema) -> None:
    """Raises Invalid, with what does not fit."""
    m = summary.moments
    _check_counts(summary, schema)
    for name in ("mean", "low", "spread", "comoment", "cube", "fourth", "square", "product"):
        _must(bool(np.isfinite(getattr(m, name)).all()), f"{name}: a number is not finite")
    _check_extremes(summary)
    _check_powers(m)
    for group in range(len(m.counts)):
        _check_definite(m, group)
    for sketch, n in zip(summary.sketches, m.count()[m.numeric], strict=False):
        _must(sketch.n == n, "a sketch has other values than its column")


def _must(truth: bool, text: str) -> None:  # noqa: FBT001  # reads as a sentence
    if not truth:
        raise Invalid(f"these are not statistics of any rows: {text}")


def _check_counts(summary: Summary, schema: Schema) -> None:
    m, counts = summary.moments, summary.moments.counts
    own = np.diagonal(counts)
    _must(bool((counts >= 0).all()), "a count is negative")
    _must(bool((counts == counts.T).all()), "counts are not symmetric")
    _must(bool((counts <= np.minimum(own[:, None], own)).all()), "a pair was seen more often than one of its columns")
    _must(bool((own <= summary.rows).all()), "a column was seen in more rows than there are")
    _must(bool((counts >= own[:, None] + own - summary.rows).all()), "two columns were seen together too rarely")
    ones, n = m.ones(), counts[m.groups]
    _must(bool(((ones >= 0) & (ones <= n)).all()), "a binary column was 1 more often than it was seen")
    at = np.arange(len(m.groups))
    total = ones[at, m.groups] if len(at) else np.zeros(0)
    for attribute in schema.attributes:
        if attribute.kind is Kind.CATEGORY:
            places = [schema.place(column) for column in attribute.columns]
            _must(len(set(m.groups[places])) == 1, f"levels of {attribute.name!r} were seen in different rows")
            _must(int(total[places].sum()) == m.count()[places[0]], f"levels of {attribute.name!r} do not add up")
    _check_pairs_of_ones(m, ones)


def _check_pairs_of_ones(m: Moments, ones: Floats) -> None:
    b = np.flatnonzero(m.binary)
    n = m.counts[np.ix_(m.groups[b], m.groups[b])]
    given = ones[b][:, m.groups[b]]
    both = np.rint(m.comoment[np.ix_(b, b)] + given * given.T / np.maximum(n, 1))
    possible = (both >= np.maximum(0, given + given.T - n)) & (both <= np.minimum(given, given.T))
    _must(bool(possible.all()), "two binary columns were 1 together impossibly often")


def _check_extremes(summary: Summary) -> None:
    m = summary.moments
    i, (mean, _) = m.numeric, m.centre()
    seen = m.count()[i] > 0
    least, most = summary.least, summary.most
    _must(bool((np.isposinf(least[~seen]) & np.isneginf(most[~seen])).all()), "an unseen column has extremes")
    least, most, mean = least[seen], most[seen], mean[i][seen]
    _must(bool(((least >= -MAX_MAGNITUDE) & (most <= MAX_MAGNITUDE)).all()), "an extreme is not a number we keep")
    slack = _SLACK * np.maximum(np.abs(least), np.abs(most))
    _must(bool(((least - slack <= mean) & (mean <= most + slack)).all()), "a mean is outside the extremes")
    _must(bool((m.spread <= 4 * MAX_MAGNITUDE**2 * np.maximum(m.counts[m.groups], 1)).all()), "a spread is too large")
    _must(bool((np.abs(m.mean) <= MAX_MAGNITUDE).all()), "a mean is too large")
    _must(bool((np.abs(m.low) <= np.spacing(np.abs(m.mean))).all()), "the rest of a mean is more than a rest")


def _check_powers(m: Moments) -> None:
    i = m.numeric
    n, spread = m.count()[i], m.spread[i, m.groups[i]]
    _must(bool((m.spread >= 0).all()), "a sum of squares is negative")
    least = spread**2 / np.maximum(n, 1)
    _must(bool((m.fourth >= least * (1 - _SLACK)).all()), "fourth powers are less than their squares allow")
    _must(bool((m.fourth <= spread**2 * (1 + _SLACK)).all()), "fourth powers are more than their squares allow")
    limit = np.sqrt(m.fourth) * np.sqrt(spread)
    _must(bool((np.abs(m.cube) <= limit * (1 + _SLACK)).all()), "third powers are more than the others allow")
    j = m.watched
    limit = m.spread[i][:, m.groups[j]] * np.sqrt(m.spread[j][:, m.groups[i]].T)
    _must(bool((np.abs(m.square) <= limit * (1 + _SLACK)).all()), "squares by partner are more than spreads allow")
    if m.products:
        limit = m.spread[i][:, m.groups[i]]
        _must(bool((m.product <= limit * limit.T * (1 + _SLACK)).all()), "squared products are more than spreads allow")


def _check_definite(m: Moments, group: int) -> None:
    """Co-moments over the same rows have no direction in which they vary less than nothing."""
    i = np.flatnonzero((m.groups == group) & (m.spread[:, group] > 0))
    if len(i) < 2:
        return
    scale = 1 / np.sqrt(m.spread[i, group])
    correlations = m.comoment[np.ix_(i, i)] * scale[:, None] * scale
    correlations[np.diag_indices(len(i))] += _SLACK * len(i)
    try:
        np.linalg.cholesky(correlations)
    except np.linalg.LinAlgError as exc:
        raise Invalid("these are not statistics of any rows: co-moments contradict one another") from exc


def check_sketch(sketch: Sketch) -> None:
    """Raises Invalid unless keys ascend and counts are positive."""
    _must(bool((sketch.keys[1:] > sketch.keys[:-1]).all()), "bins are not in order")
    _must(bool((sketch.counts > 0).all()), "a bin is empty")
