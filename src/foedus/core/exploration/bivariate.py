"""Two columns together, and the first one given the second."""

from math import inf, nan, sqrt

from foedus.core.distributions import t_quantile
from foedus.core.errors import Invalid
from foedus.core.exploration.conditional import conditional_bins
from foedus.core.exploration.query import Answer, Query, columns_of, view_of
from foedus.core.exploration.univariate import distribution
from foedus.core.statistics import Statistics, View


def bivariate(statistics: Statistics, query: Query) -> Answer:
    """Covariance and correlation, and the first column weighted by the second: if that is binary, given that it is 1.

    condCount is the sum of the weights y, condMean = Sxy/Sy and condVariance = S(xy)**2/Sy - condMean**2, which for a
    continuous y is what SymetryML prints but no variance of anything. The interval is condMean -+ t(.975, condCount
    - 1) * condStddev / sqrt(condCount), of use for a binary y. Options: ``need_bi_conditional`` (default true),
    ``need_bi_conditional_mmm`` for the least, greatest and median given y, from the parts of the plan, or approximate
    from the sketch (see ``conditional_bins``), ``need_bi_conditional_ci95`` (default true).
    """
    view = view_of(statistics, query.inputs, 2, 2)
    ddof = query.ddof()
    answer = {"covar": float(view.covariance(ddof)[0, 1]), "linCorr": float(view.correlation()[0, 1])}
    if query.flag("need_bi_conditional", default=True):
        answer |= _conditional(view, interval=query.flag("need_bi_conditional_ci95", default=True))
    if query.flag("need_bi_conditional_mmm"):
        answer |= _extremes(statistics, query)
    return answer


def _conditional(view: View, *, interval: bool) -> dict[str, float]:
    weight = float(view.means[1, 0]) * float(view.n[0, 1])
    total = float(view.products()[0, 1])
    mean = total / weight if weight else nan
    answer = {"condMean": mean, "condCount": weight, "condSum": total}
    try:
        squares = view.squared_products(0, 1)
    except Invalid:  # two continuous columns in a project without products: the variance is not known
        return answer
    variance = squares / weight - mean**2 if weight else nan
    if view.binary[1]:
        variance = view.where(0, 1).variance
    spread = sqrt(variance) if variance >= 0 else nan
    answer |= {"condVariance": variance, "condStddev": spread}
    if interval:
        margin = t_quantile(0.975, weight - 1) * spread / sqrt(weight) if weight > 1 else inf
        answer |= {"biCi95Down": mean - margin, "biCi95Up": mean + margin}
    return answer


def _extremes(statistics: Statistics, query: Query) -> dict[str, float]:
    value, condition = columns_of(statistics, query.inputs)
    view = statistics.view([value, condition])
    if keeps(statistics, condition) or not statistics.plan.sketches or view.binary[0]:
        found = distribution(statistics, statistics.view([value], part=part_of(statistics, condition)))
    else:
        bins = conditional_bins(view)
        found = {"min": bins.at(0.5), "max": bins.at(bins.total - 0.5), "median": bins.at(0.5 * bins.total)}
    return {f"cond{key.capitalize()}": number for key, number in found.items()}


def keeps(statistics: Statistics, column: str) -> bool:
    """Whether a part of the plan has the rows where a binary column is 1."""
    return _part(statistics, column) in statistics.parts


def part_of(statistics: Statistics, column: str) -> tuple[str, str]:
    """The part of the plan that has the rows where a binary column is 1. Raises Invalid when it is not kept."""
    part = _part(statistics, column)
    if part not in statistics.parts:
        raise Invalid(
            f"no statistics are kept of the rows where {column!r} is 1: make the project with the target {part[0]!r}",
            column=column,
        )
    return part


def _part(statistics: Statistics, column: str) -> tuple[str, str]:
    attribute = statistics.schema.attributes[statistics.schema.owners[statistics.schema.place(column)]]
    return attribute.name, "1" if column == attribute.name else column.removeprefix(attribute.name)[1:]
