"""Naive Bayes: normal for numbers, Bernoulli for binary columns, multinomial for the levels of a category.

Source: Hastie et al., The Elements of Statistical Learning, 6.6.3.
"""

from dataclasses import dataclass
from math import inf, pi
from typing import ClassVar

import numpy as np

from foedus.core.errors import Invalid
from foedus.core.models.classes import Classes, check_classes, classes_of, decided
from foedus.core.models.model import Outputs, Task, check_shapes, columns_of
from foedus.core.statistics import Kind, Statistics
from foedus.core.statistics.moments import Floats, Places


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Bayes:
    """The log-likelihood of x in class c is the sum over inputs of offset + slope * x + bend * x**2, since normal and
    Bernoulli densities both have that form: ``bends``, ``slopes`` (classes, inputs), about ``means``; ``offsets``
    (classes,) with everything else.
    """

    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    means: Floats
    labels: tuple[str, ...]
    slopes: Floats
    bends: Floats
    offsets: Floats

    def __post_init__(self) -> None:
        k, c = len(self.inputs), len(self.labels)
        check_classes(self.inputs, self.targets, self.labels)
        check_shapes(
            means=(self.means, (k,)),
            slopes=(self.slopes, (c, k)),
            bends=(self.bends, (c, k)),
            offsets=(self.offsets, (c,)),
        )

    def predict(self, values: Floats) -> Outputs:
        gaps = values - self.means
        return decided(self.labels, gaps @ self.slopes.T + gaps**2 @ self.bends.T + self.offsets)


@dataclass(frozen=True, slots=True, kw_only=True)
class NaiveBayes:
    """Prior n_c/n; a binary input is 1 with (n_1c + laplace)/(n_c + 2 laplace), a level of a category is there with
    (n_lc + laplace)/(n_c + levels * laplace), a number is normal with mean and variance over n_c of the class.

    ``smoothing`` times the greatest variance of an input is added to every variance. Exact. Raises Invalid for a
    missing class, and for rows of none or several classes.
    """

    laplace: float = 1.0
    smoothing: float = 1e-9
    fitted: ClassVar[type] = Bayes

    def __post_init__(self) -> None:
        if not 0 <= self.laplace < inf or not 0 <= self.smoothing < inf:
            raise Invalid("laplace and smoothing are not negative")

    def fit(self, statistics: Statistics, task: Task) -> Bayes:
        inputs, targets = columns_of(statistics, task)
        classes = classes_of(statistics, inputs, targets)
        means = classes.view.mean[: len(inputs)]
        levels = _levels(statistics, inputs)
        shape = (len(classes.labels), len(inputs))
        slopes, bends, offsets = np.zeros(shape), np.zeros(shape), np.array(classes.log_priors)
        binary = classes.view.binary[: len(inputs)]
        shares = self._shares(classes, levels)
        numeric = np.flatnonzero(~binary)
        variances = self._variances(classes, numeric)
        gaps = classes.means[:, numeric] - means[numeric]
        bends[:, numeric] = -0.5 / variances
        slopes[:, numeric] = gaps / variances
        offsets -= 0.5 * (np.log(2 * pi * variances) + gaps**2 / variances).sum(axis=1)
        on, off = np.log(shares[:, binary]), np.where(levels[binary] > 0, 0.0, np.log1p(-shares[:, binary]))
        slopes[:, binary] = on - off
        offsets += (off + slopes[:, binary] * means[binary]).sum(axis=1)
        return Bayes(
            inputs=inputs,
            targets=targets,
            means=means,
            labels=classes.labels,
            slopes=slopes,
            bends=bends,
            offsets=offsets,
        )

    def _shares(self, classes: Classes, levels: Floats) -> Floats:
        """How likely each binary input is 1 in each class; 0.5 for others."""
        counts = classes.counts[:, None]
        below = counts + self.laplace * np.where(levels > 0, levels, 2.0)
        with np.errstate(invalid="ignore"):
            shares = (classes.means * counts + self.laplace) / below
        binary = classes.view.binary[: len(levels)]
        certain = binary & ((shares <= 0) | (shares >= 1)).any(axis=0)
        if certain.any():
            names = [classes.view.columns[j] for j in np.flatnonzero(certain).tolist()]
            raise Invalid(f"with laplace 0 some inputs are certain in a class: {names[:10]}; choose laplace above 0")
        return np.where(binary, shares, 0.5)

    def _variances(self, classes: Classes, numeric: Places) -> Floats:
        """(classes, numeric inputs)."""
        found = np.array(
            [[classes.spread(j, c) / n for j in numeric.tolist()] for c, n in enumerate(classes.counts.tolist())]
        ).reshape(len(classes.counts), len(numeric))
        whole = classes.view.variance()[numeric]
        found = found + self.smoothing * (whole.max() if len(whole) else 0.0)
        constant = [classes.view.columns[numeric[j]] for j in np.flatnonzero((found <= 0).any(axis=0)).tolist()]
        if constant:
            raise Invalid(f"columns do not vary within a class, leave them out: {constant[:10]}", columns=constant[:10])
        return found


def _levels(statistics: Statistics, inputs: tuple[str, ...]) -> Floats:
    """For each input that is a level of a category how many levels that has, otherwise 0."""
    sizes = {c: len(a.levels) for a in statistics.schema.attributes if a.kind is Kind.CATEGORY for c in a.columns}
    return np.array([float(sizes.get(name, 0)) for name in inputs])
