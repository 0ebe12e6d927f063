"""Linear support vector machines in their proximal form, which needs moments only.

Source: Fung and Mangasarian, Proximal support vector machine classifiers, KDD 2001. What it approximates: the hinge
loss of a support vector machine becomes a square, so that every row counts and not only those near the border; for
regression likewise, without a tube in which errors are free. The answer is near that of a least-squares machine and
further from the usual one the more outliers there are.
"""

from dataclasses import dataclass
from math import inf
from typing import ClassVar

import numpy as np

from foedus.core.errors import Invalid
from foedus.core.models.latent import standardised
from foedus.core.models.linear import LinearModel
from foedus.core.models.model import Outputs, Task, check_names, check_shapes, columns_of
from foedus.core.statistics import Statistics
from foedus.core.statistics.moments import Floats


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Hyperplane:
    """res = 1 where resZ = weights . x - gamma is above 0."""

    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    means: Floats
    weights: Floats
    gamma: float
    nu: float

    def __post_init__(self) -> None:
        k = (len(self.inputs),)
        check_names(self.inputs, self.targets)
        check_shapes(means=(self.means, k), weights=(self.weights, k))

    def predict(self, values: Floats) -> Outputs:
        z = values @ self.weights - self.gamma
        return {"res": (z > 0).astype(np.float64), "resZ": z}


@dataclass(frozen=True, slots=True, kw_only=True)
class SupportVectorMachine:
    """[w, gamma] = (I/nu + E'E)**-1 E'd with E = [X, -1] of standardised inputs and d = +-1.

    Exact for the proximal problem. Raises Invalid for a missing class or a target that is not binary.
    """

    nu: float = 1.0
    standardize: bool = True
    fitted: ClassVar[type] = Hyperplane

    def __post_init__(self) -> None:
        _check_nu(self.nu)

    def fit(self, statistics: Statistics, task: Task) -> Hyperplane:
        _, targets = columns_of(statistics, task, targets=1)
        if not statistics.schema.binary[statistics.schema.place(targets[0])]:
            raise Invalid(f"target {targets[0]!r} is not binary")
        found, scale, gram, cross = standardised(statistics, task, standardize=self.standardize)
        k, n = len(scale), found.n
        share = float(found.means[k])
        if not 0 < share < 1:
            raise Invalid(f"both classes must have rows, {targets[0]!r} is always {share:g}")
        w = np.linalg.solve(gram * n + np.eye(k) / self.nu, 2 * cross * n) / scale
        level = (2 * share - 1) * n / (n + 1 / self.nu)
        return Hyperplane(
            inputs=found.columns[:k],
            targets=found.columns[k:],
            means=found.means[:k],
            weights=w,
            gamma=float(found.means[:k] @ w) - level,
            nu=self.nu,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SupportVectorRegression:
    """The same with the target in place of d: least squares with (w'w + gamma**2)/nu for a penalty.

    Exact for the proximal problem. Raises Invalid for inputs that do not vary.
    """

    nu: float = 1.0
    standardize: bool = True
    clip_negative: bool = False
    fitted: ClassVar[type] = LinearModel

    def __post_init__(self) -> None:
        _check_nu(self.nu)

    def fit(self, statistics: Statistics, task: Task) -> LinearModel:
        found, scale, gram, cross = standardised(statistics, task, standardize=self.standardize)
        k, n = len(scale), found.n
        w = np.linalg.solve(gram * n + np.eye(k) / self.nu, cross * n) / scale
        level = float(found.means[k]) * n / (n + 1 / self.nu)
        return LinearModel(
            inputs=found.columns[:k],
            targets=found.columns[k:],
            means=found.means[:k],
            coefficients=w,
            intercept=level - float(found.means[:k] @ w),
            clipped=self.clip_negative,
        )


def _check_nu(nu: float) -> None:
    if not 0 < nu < inf:
        raise Invalid("nu is above 0")
