"""Covariances and correlations of many columns as one answer, for maps and for export."""

from foedus.core.exploration.components import covariance_of
from foedus.core.exploration.query import Answer, Query, columns_of
from foedus.core.statistics import Statistics


def correlations(statistics: Statistics, query: Query) -> Answer:
    """``a:b`` for each pair of the inputs; NaN where one of both does not vary."""
    columns = columns_of(statistics, query.inputs)
    matrix = statistics.view(columns).correlation()
    return _pairs(columns, matrix.tolist())


def correlations_of(statistics: Statistics, names: tuple[str, ...]) -> dict[tuple[str, str], float]:
    """By both names of a pair, in either order: ``a:b`` may be the name of one attribute."""
    columns = columns_of(statistics, names)
    matrix = statistics.view(columns).correlation().tolist()
    return {(a, b): matrix[i][j] for i, a in enumerate(columns) for j, b in enumerate(columns)}


def covariances(statistics: Statistics, query: Query) -> Answer:
    """``a:b`` for each pair of the inputs, and ``a:a``; over n unless ``unbiased``."""
    columns = columns_of(statistics, query.inputs)
    return _pairs(columns, covariance_of(statistics, columns, query.ddof()).tolist())


def _pairs(columns: tuple[str, ...], matrix: list[list[float]]) -> dict[str, float]:
    return {f"{a}:{b}": matrix[i][j] for i, a in enumerate(columns) for j, b in enumerate(columns) if i <= j}
