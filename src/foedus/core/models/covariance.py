"""Estimators of covariance and its inverse: shrunk, or sparse by the graphical lasso.

Sources: Friedman et al., Biostatistics 9 (2008); solved by proximal steps after Rolfs et al., NIPS 2012 (G-ISTA);
the criterion: Foygel and Drton, NIPS 2010.
"""

from dataclasses import dataclass
from math import inf, log
from typing import ClassVar, Literal

import numpy as np

from foedus.core.errors import Invalid
from foedus.core.models.algebra import inverse
from foedus.core.models.covariances import covariances_of
from foedus.core.models.model import Outputs, Task, check_names, check_shapes, columns_of
from foedus.core.models.shrinking import Shrinkage
from foedus.core.statistics import Statistics
from foedus.core.statistics.moments import Floats

_EBIC = 0.5  # the criterion's weight of how many graphs there are


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Covariance:
    """``covariance`` and ``precision`` (inputs, inputs). res is the squared Mahalanobis distance of a row."""

    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    means: Floats
    covariance: Floats
    precision: Floats
    strength: float

    def __post_init__(self) -> None:
        k = len(self.inputs)
        check_names(self.inputs, self.targets)
        check_shapes(means=(self.means, (k,)), covariance=(self.covariance, (k, k)), precision=(self.precision, (k, k)))

    def predict(self, values: Floats) -> Outputs:
        gaps = values - self.means
        return {"res": np.einsum("ij,ij->i", gaps @ self.precision, gaps)}


@dataclass(frozen=True, slots=True, kw_only=True)
class CovarianceEstimate:
    """Of the covariance over n: shrunk, or with ``lasso`` the precision that maximises log det P - tr(S P) - strength *
    sum of abs(P[i,j]) off the diagonal. ``search`` "ebic" tries ten strengths and takes the least extended BIC.

    Exact up to ``tolerance``, the duality gap of a column. Raises Invalid for columns that determine one another, if
    not regularised, and when the lasso does not settle.
    """

    shrinkage: Shrinkage = Shrinkage()  # noqa: RUF009  # immutable
    lasso: bool = False
    strength: float = 0.01
    search: Literal["none", "ebic"] = "none"
    tolerance: float = 1e-4
    max_iterations: int = 5000
    fitted: ClassVar[type] = Covariance

    def __post_init__(self) -> None:
        if not (0 < self.strength < inf and 0 < self.tolerance < 1 and 1 <= self.max_iterations <= 100_000):
            raise Invalid("strength is above 0, tolerance between 0 and 1, max_iterations 1 to 100000")

    def fit(self, statistics: Statistics, task: Task) -> Covariance:
        inputs, targets = columns_of(statistics, task, targets=0)
        found = covariances_of(statistics, inputs)
        matrix = found.scatter / found.n
        if not self.lasso:
            shrunk = self.shrinkage.applied(matrix, found.n)
            return Covariance(
                inputs=inputs,
                targets=targets,
                means=found.means,
                covariance=shrunk,
                precision=inverse(shrunk, inputs).matrix,
                strength=self.shrinkage.strength,
            )
        if not (np.diagonal(matrix) > 0).all():
            raise Invalid("the graphical lasso needs columns that vary")
        strength, precision = self._lasso(matrix, found.n)
        return Covariance(
            inputs=inputs,
            targets=targets,
            means=found.means,
            covariance=_inverted(precision),
            precision=precision,
            strength=strength,
        )

    def _lasso(self, matrix: Floats, n: int) -> tuple[float, Floats]:
        if self.search == "none":
            return self.strength, sparse_precision(matrix, self.strength, self.tolerance, self.max_iterations)
        off = np.abs(matrix - np.diag(np.diagonal(matrix))).max()
        tried = []
        precision: Floats | None = None
        for strength in (off * np.logspace(0, -2, 10)).tolist():
            precision = sparse_precision(matrix, strength, self.tolerance, self.max_iterations, precision)
            tried.append((_ebic(matrix, precision, n), strength, precision))
        _, strength, precision = min(tried, key=lambda entry: entry[0])
        return strength, precision


def sparse_precision(
    matrix: Floats, strength: float, tolerance: float, iterations: int, start: Floats | None = None
) -> Floats:
    """The graphical lasso's precision. Raises Invalid when the duality gap of a column stays above
    ``tolerance``.
    """
    p = len(matrix)
    weights = strength * (1.0 - np.eye(p))
    theta = np.diag(1.0 / (np.diagonal(matrix) + strength)) if start is None else start
    inverted, log_determinant = _inverted(theta), float(np.linalg.slogdet(theta)[1])
    step = float(np.linalg.eigvalsh(theta)[0]) ** 2
    for _ in range(iterations):
        slope = matrix - inverted
        size = step
        while True:
            moved = _soft(theta - size * slope, size * weights)
            if _descends(theta, moved, log_determinant, inverted, size):
                break
            size /= 2.0
            if size < 1e-300:
                raise Invalid("the graphical lasso found no step that descends: use a greater strength")
        new, log_determinant = _inverted(moved), float(np.linalg.slogdet(moved)[1])
        change, bent = moved - theta, inverted - new
        theta, inverted = moved, new
        curvature = float((change * bent).sum())
        step = float((change**2).sum()) / curvature if curvature > 0 else step
        gap = float((matrix * theta).sum()) + float((weights * np.abs(theta)).sum()) - p
        if abs(gap) < tolerance * p:
            return theta
    raise Invalid("the graphical lasso has not settled: allow more iterations or use a greater strength")


def _descends(theta: Floats, moved: Floats, log_determinant: float, inverted: Floats, size: float) -> bool:
    """Whether the smooth part at ``moved`` is below its quadratic model, and ``moved`` is positive definite."""
    try:
        factor = np.linalg.cholesky(moved)
    except np.linalg.LinAlgError:
        return False
    change = moved - theta
    # what -log det gains, and its first-order bound: the part that is linear in the matrix cancels
    smooth = -2 * np.log(np.diagonal(factor)).sum() + log_determinant
    bound = -float((inverted * change).sum()) + float((change**2).sum()) / (2 * size)
    return bool(smooth <= bound + 1e-12 * max(1.0, abs(bound)))


def _inverted(matrix: Floats) -> Floats:
    found = np.linalg.inv(matrix).astype(np.float64)
    return (found + found.T) / 2


def _soft(values: Floats, by: Floats) -> Floats:
    return np.sign(values) * np.maximum(np.abs(values) - by, 0.0)


def _ebic(matrix: Floats, precision: Floats, n: int) -> float:
    p = len(matrix)
    edges = int(np.count_nonzero(np.triu(precision, 1)))
    likelihood = n / 2 * (float(np.linalg.slogdet(precision)[1]) - float((matrix * precision).sum()))
    return -2 * likelihood + edges * log(n) + 4 * edges * _EBIC * log(p)
