"""Estimators of covariance and its inverse: shrunk, or sparse by the graphical lasso.

Source of the criterion: Foygel and Drton, NIPS 2010.
"""

from dataclasses import dataclass
from math import inf, log
from typing import ClassVar, Literal

import numpy as np

from foedus.core.errors import Invalid
from foedus.core.models.algebra import inverse
from foedus.core.models.covariances import covariances_of
from foedus.core.models.graphical import sparse_precision
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
    sum of abs(P[i,j]) off the diagonal. ``search`` "ebic" tries ten strengths and takes the least extended BIC of those
    that settle.

    Exact up to a relative ``tolerance``. Raises Invalid for columns that determine one another, if
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
        failed = Invalid("no strength was tried")
        precision: Floats | None = None
        for strength in (off * np.logspace(0, -2, 10)).tolist():
            try:
                precision = sparse_precision(matrix, strength, self.tolerance, self.max_iterations, precision)
            except Invalid as exc:
                failed = exc
                continue
            tried.append((_ebic(matrix, precision, n), strength, precision))
        if not tried:
            raise failed
        _, strength, precision = min(tried, key=lambda entry: entry[0])
        return strength, precision


def _inverted(matrix: Floats) -> Floats:
    found = np.linalg.inv(matrix).astype(np.float64)
    return (found + found.T) / 2


def _ebic(matrix: Floats, precision: Floats, n: int) -> float:
    p = len(matrix)
    edges = int(np.count_nonzero(np.triu(precision, 1)))
    likelihood = n / 2 * (float(np.linalg.slogdet(precision)[1]) - float((matrix * precision).sum()))
    return -2 * likelihood + edges * log(n) + 4 * edges * _EBIC * log(p)
