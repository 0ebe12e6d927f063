"""Tests of means and shares: z and t.

Where variances are over n and where over n - 1 is a choice of ours for t, given that z is known to take n: with n - 1
the statistic has the distribution that it is compared with. ``unbiased`` overrules both.
"""

from math import copysign, inf, nan, sqrt

from foedus.core.distributions import normal_two_sided, t_two_sided
from foedus.core.errors import Invalid
from foedus.core.exploration.query import Answer, Query, binaries_of
from foedus.core.exploration.samples import one_sample, two_samples
from foedus.core.statistics import Statistics

_Z95 = 1.96


def z_test(statistics: Statistics, query: Query) -> Answer:
    """Whether two means differ, for many values: z = (m1 - m2) / sqrt(v1/n1 + v2/n2); with the interval of m1 - m2."""
    a, b = two_samples(statistics, query, query.ddof(0))
    gap, error = a.mean - b.mean, sqrt(a.variance / a.n + b.variance / b.n)
    z = over(gap, error)
    return {
        "zn1": a.n, "zn2": b.n, "zm1": a.mean, "zm2": b.mean, "zs1": a.deviation, "zs2": b.deviation,
        "z": z, "zp": normal_two_sided(z), "zCi95Down": gap - _Z95 * error, "zCi95Up": gap + _Z95 * error,
    }  # fmt: skip


def z_test_of_mean(statistics: Statistics, query: Query) -> Answer:
    """Whether a mean differs from ``sml_explore_ztest_known_mu``."""
    known = query.number("sml_explore_ztest_known_mu")
    a = one_sample(statistics, query, query.ddof(0))
    z = over(a.mean - known, a.deviation / sqrt(a.n))
    return {"z": z, "zp": normal_two_sided(z)}


def z_test_of_shares(statistics: Statistics, query: Query) -> Answer:
    """Whether two binary columns are 1 equally often; the standard error is that of the pooled share."""
    columns = binaries_of(statistics, (*query.inputs, *query.targets), 2)
    if len(columns) != 2:
        raise Invalid(f"this needs 2 binary columns, {len(columns)} were named")
    view = statistics.view(columns)
    (n1, n2), (p1, p2) = (float(n) for n in view.count), (float(p) for p in view.mean)
    pooled = (n1 * p1 + n2 * p2) / (n1 + n2)
    z = over(p1 - p2, sqrt(pooled * (1 - pooled) * (1 / n1 + 1 / n2)))
    return {"z": z, "zp": normal_two_sided(z)}


def t_test(statistics: Statistics, query: Query) -> Answer:
    """Whether two means differ: ``t``, ``tdf``, ``tp`` for equal variances, ``tu``, ``tdfu``, ``tpu`` after Welch."""
    a, b = two_samples(statistics, query, query.ddof(1))
    gap = a.mean - b.mean
    df = a.n + b.n - 2
    pooled = ((a.n - 1) * a.variance + (b.n - 1) * b.variance) / df
    t = over(gap, sqrt(pooled * (1 / a.n + 1 / b.n)))
    va, vb = a.variance / a.n, b.variance / b.n
    welch = over(gap, sqrt(va + vb))
    below = va**2 / (a.n - 1) + vb**2 / (b.n - 1)
    dfu = (va + vb) ** 2 / below if below > 0 else float(df)
    return {
        "tn1": a.n, "tn2": b.n, "tm1": a.mean, "tm2": b.mean, "ts1": a.deviation, "ts2": b.deviation,
        "t": t, "tdf": df, "tp": t_two_sided(t, df), "tu": welch, "tdfu": dfu, "tpu": t_two_sided(welch, dfu),
    }  # fmt: skip


def t_test_of_mean(statistics: Statistics, query: Query) -> Answer:
    """Whether a mean differs from ``sml_explore_ttest_known_mu``."""
    known = query.number("sml_explore_ttest_known_mu")
    a = one_sample(statistics, query, query.ddof(1))
    t = over(a.mean - known, a.deviation / sqrt(a.n))
    return {"t": t, "tp": t_two_sided(t, a.n - 1)}


def over(gap: float, error: float) -> float:
    """A ratio that is infinite where nothing varies, and NaN where there is no gap either."""
    if error > 0:
        return gap / error
    return copysign(inf, gap) if gap else nan
