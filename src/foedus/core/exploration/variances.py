"""Tests of variances, and the analysis of variance. Variances are over n - 1 unless ``unbiased`` is false."""

from dataclasses import dataclass

import numpy as np

from foedus.core.distributions import chi_square_upper, f_upper
from foedus.core.errors import Invalid
from foedus.core.exploration.means import over
from foedus.core.exploration.query import Answer, Query, binaries_of, view_of
from foedus.core.exploration.samples import one_sample, two_samples
from foedus.core.statistics import Statistics


def f_test(statistics: Statistics, query: Query) -> Answer:
    """Whether two variances differ: f = v1/v2, and the two-sided probability."""
    a, b = two_samples(statistics, query, query.ddof(1))
    f = over(a.variance, b.variance)
    upper = f_upper(f, a.n - 1, b.n - 1)
    lower = f_upper(1 / f, b.n - 1, a.n - 1) if f > 0 else 1.0
    return {
        "fn1": a.n, "fn2": b.n, "fm1": a.mean, "fm2": b.mean, "fs1": a.deviation, "fs2": b.deviation,
        "fdf1": a.n - 1, "fdf2": b.n - 1, "f": f, "fp": min(1.0, 2 * min(upper, lower)),
    }  # fmt: skip


def f_test_of_deviation(statistics: Statistics, query: Query) -> Answer:
    """Whether a standard deviation differs from ``sml_explore_ftest_known_sigma``: f = v/sigma**2, and (n - 1) * f is
    chi-square; two-sided.
    """
    sigma = query.number("sml_explore_ftest_known_sigma")
    if sigma <= 0:
        raise Invalid("the known standard deviation is positive", option="sml_explore_ftest_known_sigma")
    a = one_sample(statistics, query, query.ddof(1))
    f = a.variance / sigma**2
    upper = chi_square_upper((a.n - 1) * f, a.n - 1)
    return {"f": f, "fp": min(1.0, 2 * min(upper, 1 - upper))}


@dataclass(frozen=True, slots=True)
class _Groups:
    n: list[float]
    mean: list[float]
    spread: list[float]


def anova(statistics: Statistics, query: Query) -> Answer:
    """Whether means differ among columns, or those of one column among the groups where each target is 1."""
    groups = _by_target(statistics, query) if query.targets else _by_column(statistics, query)
    n, mean, spread = (np.array(x) for x in (groups.n, groups.mean, groups.spread))
    if (n < 1).any() or len(n) < 2 or n.sum() <= len(n):
        raise Invalid("the analysis of variance needs two groups or more, each with rows, and a row more than groups")
    grand = float(n @ mean / n.sum())
    between, within = float(n @ (mean - grand) ** 2), float(spread.sum())
    dfb, dfw = len(n) - 1, int(n.sum()) - len(n)
    f = over(between / dfb, within / dfw)
    return {
        "SSb": between, "SSw": within, "Dfb": dfb, "Dfw": dfw, "MSb": between / dfb, "MSw": within / dfw, "F": f,
        "Ssgamma": between + within, "Dfgamma": dfb + dfw, "P": f_upper(f, dfb, dfw),
    }  # fmt: skip


def _by_column(statistics: Statistics, query: Query) -> _Groups:
    view = view_of(statistics, query.inputs, 2)
    at = np.arange(len(view.columns))
    return _Groups(view.count.tolist(), view.mean.tolist(), view.spreads[at, at].tolist())


def _by_target(statistics: Statistics, query: Query) -> _Groups:
    if len(query.inputs) != 1:
        raise Invalid("with targets, the analysis of variance has one input")
    targets = binaries_of(statistics, query.targets, 2)
    view = statistics.view([*query.inputs, *targets])
    found = [view.where(0, j) for j in range(1, len(view.columns))]
    return _Groups([g.n for g in found], [g.mean for g in found], [g.spread for g in found])
