"""One column described."""

from math import nan, sqrt

import numpy as np

from foedus.core.distributions import t_quantile
from foedus.core.errors import Invalid
from foedus.core.exploration.query import Answer, Query, view_of
from foedus.core.statistics import Statistics, View


def univariate(statistics: Statistics, query: Query) -> Answer:
    """Count, mean, variance (over n unless ``unbiased``), skewness, kurtosis and so on; with sketches also the least
    and greatest value and the median. The margin is that of a 95 % confidence interval of the mean.

    skewness = n**2 / ((n-1)*(n-2)) * (M3/n) / sd**3 with sd over n, and kurtosis = (M4/n) / sd**4, which is 3 for a
    normal distribution.
    """
    view = view_of(statistics, query.inputs, 1, 1)
    n, mean = int(view.count[0]), float(view.mean[0])
    variance, biased = float(view.variance(query.ddof())[0]), float(view.variance()[0])
    error = sqrt(variance / n) if n else nan
    answer = {
        "count": float(n),
        "mean": mean,
        "variance": variance,
        "stddev": sqrt(variance) if n else nan,
        "skewness": skewness(n, float(view.cube[0]), biased),
        "kurtosis": float(view.fourth[0]) / n / biased**2 if biased > 0 else nan,
        "stderr": error,
        "meanMarginErrorC95": t_quantile(0.975, n - 1) * error if n > 1 else nan,
    }
    return answer | distribution(statistics, view)


def skewness(n: int, cube: float, variance: float) -> float:
    if n < 3 or not variance > 0:
        return nan
    return n**2 / ((n - 1) * (n - 2)) * (cube / n) / (variance * sqrt(variance))


def distribution(statistics: Statistics, view: View) -> dict[str, float]:
    """Least, greatest and median of the first column, if sketches are kept. For a binary one all are exact."""
    if not statistics.plan.sketches or not view.count[0]:
        return {}
    if view.binary[0]:
        median = 0.5 if view.mean[0] == 0.5 else float(view.mean[0] > 0.5)
    else:
        median = float(view.sketch(0).quantile(np.array([0.5]))[0])
    return {"min": float(view.least[0]), "max": float(view.most[0]), "median": median}


def quantiles(statistics: Statistics, query: Query) -> Answer:
    """Values below which shares of a continuous column lie: option ``quantiles``, a list or text such as ``0.1,0.9``.

    Approximate, within a bin of the sketch.
    """
    view = view_of(statistics, query.inputs, 1, 1)
    wanted = query.options.get("quantiles", "0.25,0.5,0.75")
    texts = wanted.split(",") if isinstance(wanted, str) else wanted
    if not isinstance(texts, list | tuple) or not 0 < len(texts) <= 1000:
        raise Invalid("the option 'quantiles' is a list of 1 to 1000 shares")
    shares = [Query((), options={"quantiles": text}).number("quantiles") for text in texts]
    if not all(0 <= share <= 1 for share in shares):
        raise Invalid("the option 'quantiles' is a list of shares from 0 to 1")
    values = view.sketch(0).quantile(np.array(shares))
    return {f"q{share:g}": float(value) for share, value in zip(shares, values, strict=True)}
