"""Fisher's linear discriminant of two classes, with SymetryML's threshold.

Source: Fisher, Annals of Eugenics 7 (1936).
"""

from dataclasses import dataclass
from math import log
from typing import ClassVar

import numpy as np

from foedus.core.errors import Invalid
from foedus.core.models.algebra import RCOND, inverse
from foedus.core.models.covariances import covariances_of
from foedus.core.models.model import Outputs, Task, check_names, check_shapes, columns_of
from foedus.core.models.shrinking import Shrinkage
from foedus.core.statistics import Statistics
from foedus.core.statistics.moments import Floats


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Discriminant:
    """res = 1 where z = weights . x is above ``threshold``; resU with the threshold that minds how many rows each
    class has. normZ = 1/(1 + exp(1 - z/z0)), 0.5 at the threshold.
    """

    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    means: Floats
    weights: Floats
    threshold: float
    unbalanced_threshold: float

    def __post_init__(self) -> None:
        k = (len(self.inputs),)
        check_names(self.inputs, self.targets)
        check_shapes(means=(self.means, k), weights=(self.weights, k))

    def predict(self, values: Floats) -> Outputs:
        z, z0 = values @ self.weights, self.threshold
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            norm = 1.0 / (1.0 + np.exp(1.0 - z / z0))
        return {
            "res": (z > z0).astype(np.float64),
            "resU": (z > self.unbalanced_threshold).astype(np.float64),
            "resZ": z,
            "z0": np.full(len(z), z0),
            "normZ": norm if z0 else np.where(z > 0, 1.0, 0.0),
            "z1LTz0": (z < z0).astype(np.float64),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearDiscriminant:
    """weights = S**-1 (m1 - m0) with the covariance S within classes over n - 2, threshold = weights . (m1 + m0)/2.

    Exact. The scatter within classes is the whole less n1 n0/n (m1 - m0)(m1 - m0)', so nothing is kept by class. A
    continuous target acts as weights of class 1, with n1 its sum, as SymetryML has it. ``resU`` moves the threshold by
    log(n0/n1), which is Bayes's for normal classes of unequal size.
    Raises Invalid for a missing class and for inputs that determine one another.
    """

    rcond: float = RCOND
    pseudo_inverse: bool = False
    shrinkage: Shrinkage = Shrinkage()  # noqa: RUF009  # immutable
    fitted: ClassVar[type] = Discriminant

    def fit(self, statistics: Statistics, task: Task) -> Discriminant:
        inputs, targets = columns_of(statistics, task, targets=1)
        found = covariances_of(statistics, [*inputs, *targets])
        k, n = len(inputs), found.n
        ones = float(found.means[k]) * n
        zeros = n - ones
        if ones == 0 or zeros == 0 or n < 3:
            raise Invalid(f"a discriminant needs both classes and three rows, {targets[0]!r} has {ones:g} of {n}")
        cross = found.scatter[:k, k]
        gap = cross / ones + cross / zeros  # m1 - m0
        middle = 2 * found.means[:k] + cross / ones - cross / zeros  # m1 + m0
        within = (found.scatter[:k, :k] - (ones * zeros / n) * np.outer(gap, gap)) / (n - 2)
        within = self.shrinkage.applied(within, n - 2)
        weights = inverse(within, inputs, rcond=self.rcond, pseudo=self.pseudo_inverse) @ gap
        threshold = float(weights @ middle) / 2
        shift = log(zeros / ones) if zeros / ones > 0 else 0.0
        return Discriminant(
            inputs=inputs,
            targets=targets,
            means=found.means[:k],
            weights=weights,
            threshold=threshold,
            unbalanced_threshold=threshold + shift,
        )
