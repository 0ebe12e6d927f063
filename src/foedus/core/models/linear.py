"""Ordinary least squares. Source: any textbook, such as Hastie et al., The Elements of Statistical Learning, 3.2."""

from dataclasses import dataclass
from math import sqrt
from typing import ClassVar

import numpy as np

from foedus.core.distributions import t_quantile, t_two_sided
from foedus.core.errors import Invalid
from foedus.core.models.algebra import RCOND, solved
from foedus.core.models.covariances import Covariances, covariances_of
from foedus.core.models.model import Outputs, Task, check_names, check_shapes, columns_of
from foedus.core.statistics import Statistics
from foedus.core.statistics.moments import Floats


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LinearModel:
    """y = intercept + x . coefficients, in the units of the data; at least 0 if ``clipped``."""

    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    means: Floats
    coefficients: Floats
    intercept: float
    clipped: bool = False

    def __post_init__(self) -> None:
        k = (len(self.inputs),)
        check_names(self.inputs, self.targets)
        check_shapes(means=(self.means, k), coefficients=(self.coefficients, k))

    def predict(self, values: Floats) -> Outputs:
        result = values @ self.coefficients + self.intercept
        return {"res": np.maximum(result, 0.0) if self.clipped else result}


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Regression(LinearModel):
    """With what is known of its errors: standard errors, t, p and 95 % confidence intervals, each (inputs,), and of
    the intercept as pairs of one number; ``residual`` is the standard deviation of what is left, over n - k - 1.
    """

    n: int
    errors: Floats
    scores: Floats
    p_values: Floats
    low: Floats
    high: Floats
    intercept_error: float
    residual: float
    r2: float

    def __post_init__(self) -> None:
        LinearModel.__post_init__(self)
        k = (len(self.inputs),)
        check_shapes(
            errors=(self.errors, k),
            scores=(self.scores, k),
            p_values=(self.p_values, k),
            low=(self.low, k),
            high=(self.high, k),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearRegression:
    """beta = Cxx**-1 Cxy, the intercept from the means, s**2 = RSS/(n - k - 1).

    Exact. Raises Invalid when inputs determine one another, or there are not two rows more than inputs.
    """

    rcond: float = RCOND
    pseudo_inverse: bool = False
    clip_negative: bool = False
    fitted: ClassVar[type] = Regression

    def fit(self, statistics: Statistics, task: Task) -> Regression:
        inputs, targets = columns_of(statistics, task, targets=1)
        found = covariances_of(statistics, [*inputs, *targets])
        k = len(inputs)
        beta, inverted = solved(
            found.scatter[:k, :k], found.scatter[:k, k], inputs, rcond=self.rcond, pseudo=self.pseudo_inverse
        )
        df = found.n - inverted.rank - 1
        if df < 1:
            raise Invalid(f"{k} inputs need {k + 2} rows or more, there are {found.n}", rows=found.n)
        total = float(found.scatter[k, k])
        rest = residual_squares(found, beta)
        s = sqrt(rest / df)
        errors = s * np.sqrt(np.maximum(np.diagonal(inverted.matrix), 0.0))
        means = found.means[:k]
        scores = np.divide(beta, errors, out=np.zeros_like(beta), where=errors > 0)
        margin = t_quantile(0.975, df) * errors
        return Regression(
            inputs=inputs,
            targets=targets,
            means=means,
            coefficients=beta,
            intercept=float(found.means[k] - means @ beta),
            clipped=self.clip_negative,
            n=found.n,
            errors=errors,
            scores=scores,
            p_values=np.array([t_two_sided(t, df) if e > 0 else 0.0 for t, e in zip(scores, errors, strict=True)]),
            low=beta - margin,
            high=beta + margin,
            intercept_error=s * sqrt(1 / found.n + float(means @ inverted.matrix @ means)),
            residual=s,
            r2=1.0 - rest / total if total > 0 else 0.0,
        )


def residual_squares(found: Covariances, beta: Floats) -> float:
    """The sum of squares that ``beta`` leaves of the last column, given the others: never negative."""
    k = len(beta)
    xy = found.scatter[:k, k]
    return max(0.0, float(found.scatter[k, k] - 2 * beta @ xy + beta @ found.scatter[:k, :k] @ beta))
