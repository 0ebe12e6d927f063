"""Regression on a transformed target. Source: Yeo and Johnson, Biometrika 87 (2000).

A project that is made with power columns keeps, beside a column y, columns ``pt_<y>^<power>`` of its transforms. The
one that the inputs explain best by R2 is the model's; which criterion SymetryML uses is not documented. Exact.
"""

import re
from dataclasses import dataclass
from math import inf
from typing import ClassVar

import numpy as np

from foedus.core.errors import Invalid
from foedus.core.models.linear import LinearModel, LinearRegression
from foedus.core.models.model import Outputs, Task, columns_of
from foedus.core.statistics import Statistics
from foedus.core.statistics.moments import Floats

PREFIX, SEPARATOR = "pt_", "^"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Power(LinearModel):
    """A linear model of the transform with ``power``; res is back in the units of the target."""

    power: float

    def predict(self, values: Floats) -> Outputs:
        return {"res": restored(values @ self.coefficients + self.intercept, self.power)}


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerRegression:
    """Raises Invalid when the project keeps no power columns of the target."""

    fitted: ClassVar[type] = Power

    def fit(self, statistics: Statistics, task: Task) -> Power:
        _, targets = columns_of(statistics, task, targets=1)
        form = re.compile(re.escape(f"{PREFIX}{targets[0]}{SEPARATOR}") + r"(-?[0-9]+(?:\.[0-9]+)?)")
        powers = {c: float(m[1]) for c in statistics.columns if (m := form.fullmatch(c))}
        if not powers:
            raise Invalid(
                f"the project keeps no powers of {targets[0]!r}: make it with power columns", target=targets[0]
            )
        models = {c: LinearRegression().fit(statistics, Task(task.inputs, (c,))) for c in powers}
        best = max(models, key=lambda c: models[c].r2)
        model = models[best]
        return Power(
            inputs=model.inputs,
            targets=targets,
            means=model.means,
            coefficients=model.coefficients,
            intercept=model.intercept,
            power=powers[best],
        )


def transformed(values: Floats, power: float) -> Floats:
    """((y + 1)**p - 1)/p for y >= 0, -((1 - y)**(2-p) - 1)/(2 - p) below; logarithms where the divisor is 0."""
    up, down = np.log1p(np.maximum(values, 0.0)), np.log1p(np.maximum(-values, 0.0))
    above = up if power == 0 else np.expm1(power * up) / power
    beneath = down if power == 2 else np.expm1((2 - power) * down) / (2 - power)
    return np.where(values >= 0, above, -beneath)


def restored(values: Floats, power: float) -> Floats:
    """The inverse of ``transformed``; the nearest possible value where there is none."""
    up, down = np.maximum(values, 0.0), np.maximum(-values, 0.0)
    return np.where(values >= 0, _unpacked(up, power), -_unpacked(down, 2 - power))


def _unpacked(size: Floats, power: float) -> Floats:
    if power == 0:
        return np.expm1(size)
    floor = -inf if power > 0 else -1 + 1e-15
    return np.expm1(np.log1p(np.maximum(power * size, floor)) / power)
