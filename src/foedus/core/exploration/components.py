"""Principal components, singular values and inflation of variances: what the covariance of many columns says.

With missing values each covariance is of the rows that a pair has in common; such a matrix may have negative
eigenvalues, which count as zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foedus.core.errors import Invalid
from foedus.core.exploration.query import Answer, Query, columns_of
from foedus.core.statistics import Statistics
from foedus.core.statistics.moments import Floats

MAX_DIMENSIONS = 100
SINGULAR = 1e-10  # a correlation matrix with a smaller eigenvalue is singular
FLOOR = 1e-4  # what SymetryML in effect puts in its place: exact duplicates come out near 5000


@dataclass(frozen=True, slots=True, eq=False)
class Components:
    """``vectors`` (dimensions, columns), each of length 1 with its largest entry positive; ``values`` (dimensions,),
    descending; ``total`` is the sum of all eigenvalues.
    """

    columns: tuple[str, ...]
    vectors: Floats
    values: Floats
    total: float


def principal_components(
    statistics: Statistics,
    names: Sequence[str],
    *,
    explained: float = 1.0,
    dimensions: int = MAX_DIMENSIONS,
    covariance: bool = False,
) -> Components:
    """Eigenvectors of the correlation matrix (or of the covariance matrix), as many as explain a share of the whole.

    Raises Invalid for columns that do not vary, or shares and dimensions out of range.
    """
    if not 0 < explained <= 1 or not 1 <= dimensions <= MAX_DIMENSIONS:
        raise Invalid(f"the share explained is above 0 and at most 1, dimensions are 1 to {MAX_DIMENSIONS}")
    columns = columns_of(statistics, tuple(names))
    matrix = covariance_of(statistics, columns) if covariance else correlation_of(statistics, columns)
    values, vectors = np.linalg.eigh(matrix)
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    total = float(values.sum())
    enough = int(np.searchsorted(np.cumsum(values), explained * total * (1 - 1e-12))) + 1 if total else 1
    kept = min(enough, dimensions, len(columns))
    return Components(columns, oriented(vectors[:, :kept]).T, values[:kept], total)


def singular_values(statistics: Statistics, names: Sequence[str]) -> list[tuple[float, str]]:
    """Singular values of the covariance matrix over n, descending, each with the column *at its position* among the
    names: the pairing is SymetryML's and says nothing about the column.
    """
    columns = columns_of(statistics, tuple(names))
    values = np.linalg.svd(covariance_of(statistics, columns), compute_uv=False)
    return [(float(value), column) for value, column in zip(values, columns, strict=True)]


def without_singular(statistics: Statistics, names: Sequence[str], tolerance: float = SINGULAR) -> list[str]:
    """The columns left when those that the ones before them determine are dropped, and those that do not vary."""
    columns = columns_of(statistics, tuple(names))
    view = statistics.view(columns)
    varying = np.flatnonzero(np.nan_to_num(view.variance()) > 0)
    if not len(varying):
        return []
    matrix = np.nan_to_num(view.correlation())[np.ix_(varying, varying)].copy()
    kept = []
    for k in range(len(varying)):  # Cholesky: what is left on the diagonal is the share that others do not explain
        if matrix[k, k] <= tolerance:
            continue
        kept.append(columns[varying[k]])
        rest = matrix[k, k + 1 :] / matrix[k, k]
        matrix[k + 1 :, k + 1 :] -= np.outer(matrix[k, k + 1 :], rest)
    return kept


def inflation(statistics: Statistics, names: Sequence[str]) -> dict[str, float]:
    """1 / (1 - R**2) of each column on the others: the diagonal of the inverse correlation matrix.

    Eigenvalues of a singular one that are nought are taken to be FLOOR. Raises Invalid for columns that do not vary.
    """
    columns = columns_of(statistics, tuple(names))
    values, vectors = np.linalg.eigh(correlation_of(statistics, columns))
    values = np.where(values < SINGULAR, FLOOR, values)
    diagonal = (vectors**2 / values).sum(axis=1)
    return {column: float(value) for column, value in zip(columns, diagonal, strict=True)}


def inflation_of(statistics: Statistics, query: Query) -> Answer:
    """``inflation`` of the inputs, by name of column."""
    return inflation(statistics, query.inputs)


def correlation_of(statistics: Statistics, columns: Sequence[str]) -> Floats:
    """With ones on the diagonal. Raises Invalid for columns that do not vary, or never have values together."""
    _check_some(columns)
    matrix = statistics.view(columns).correlation()
    bad = [columns[k] for k in np.flatnonzero(np.isnan(matrix).any(axis=0)).tolist()]
    if bad:
        raise Invalid(f"columns have no correlation, since they do not vary or have too few values: {bad[:10]}")
    np.fill_diagonal(matrix, 1.0)
    return matrix


def covariance_of(statistics: Statistics, columns: Sequence[str], ddof: int = 0) -> Floats:
    """Raises Invalid for pairs of columns with too few common values."""
    _check_some(columns)
    matrix = statistics.view(columns).covariance(ddof)
    bad = [columns[k] for k in np.flatnonzero(np.isnan(matrix).any(axis=0)).tolist()]
    if bad:
        raise Invalid(f"columns have too few values in common with others: {bad[:10]}")
    return matrix


def oriented(vectors: Floats) -> Floats:
    """Columns with their signs chosen so that the entry of largest size is positive."""
    largest = vectors[np.argmax(np.abs(vectors), axis=0), np.arange(vectors.shape[1])]
    return vectors * np.where(largest < 0, -1.0, 1.0)


def _check_some(columns: Sequence[str]) -> None:
    if not columns:
        raise Invalid("name at least one column")
    if len(set(columns)) < len(columns):
        raise Invalid("a column is named twice")
