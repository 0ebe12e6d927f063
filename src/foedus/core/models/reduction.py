"""Fewer inputs for a linear model, from statistics alone: those go that explain least of the target beyond the others.

Backward elimination after Draper and Smith, Applied Regression Analysis (1998), 15.2. Without input j, R**2 falls by
b_j**2 / (C^-1)_jj over the target's variance. For a binary target the distance between the two classes of a linear
discriminant grows with R**2, so that the order is the same.
"""

from math import isfinite

import numpy as np

from foedus.core.errors import Invalid
from foedus.core.exploration.components import without_singular
from foedus.core.models.algebra import inverse
from foedus.core.models.model import Task, columns_of
from foedus.core.statistics import Statistics
from foedus.core.statistics.moments import Floats


def reduced(statistics: Statistics, task: Task, *, loss: float = 0.001, most: int | None = None) -> Task:
    """The task without inputs that others determine, and without at most ``most`` others that add at most ``loss`` to
    R**2 each.

    Raises Invalid for a target that does not vary, NotFound for unknown columns.
    """
    if not (isfinite(loss) and 0 <= loss < 1) or (most is not None and most < 0):
        raise Invalid("the loss of R**2 allowed for an input is from 0 to below 1, and their number not negative")
    inputs, targets = columns_of(statistics, task, targets=1)
    covariance = statistics.view([*inputs, *targets]).covariance()
    total = float(covariance[-1, -1])
    if not total > 0:
        raise Invalid(f"the target {targets[0]!r} does not vary, or was never seen")
    left = [inputs.index(name) for name in without_singular(statistics, inputs)]
    if not left:
        raise Invalid("none of the inputs varies")
    for _ in range(len(left) - 1 if most is None else min(most, len(left) - 1)):
        losses = _losses(np.nan_to_num(covariance), left, [inputs[j] for j in left]) / total
        least = int(losses.argmin())
        if losses[least] > loss:
            break
        left = left[:least] + left[least + 1 :]
    return Task(tuple(inputs[j] for j in left), task.targets)


def _losses(covariance: Floats, places: list[int], names: list[str]) -> Floats:
    """What the variance left over grows by without each of these inputs: (inputs,)."""
    scale = np.sqrt(np.diagonal(covariance)[places])
    inner = covariance[np.ix_(places, places)] / np.outer(scale, scale)
    precision = inverse(inner, names).matrix
    slopes = precision @ (covariance[places, -1] / scale)
    losses: Floats = slopes**2 / np.diagonal(precision)
    return losses
