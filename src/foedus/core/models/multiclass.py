"""Linear and quadratic discriminants of several classes.

Source: Hastie et al., The Elements of Statistical Learning, 4.3.

The linear one needs nothing by class but counts and means. The quadratic one needs a covariance of each class, which a
project keeps when its plan has the target.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from foedus.core.errors import Invalid
from foedus.core.models.algebra import RCOND, inverse
from foedus.core.models.classes import check_classes, classes_of, decided, parts_of
from foedus.core.models.covariances import covariances_of
from foedus.core.models.model import Outputs, Task, check_shapes, columns_of
from foedus.core.models.shrinking import Shrinkage
from foedus.core.statistics import Statistics
from foedus.core.statistics.moments import Floats


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LinearClasses:
    """Scores of classes: ``weights`` (classes, inputs) times x, plus ``offsets`` (classes,)."""

    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    means: Floats
    labels: tuple[str, ...]
    weights: Floats
    offsets: Floats

    def __post_init__(self) -> None:
        k, c = len(self.inputs), len(self.labels)
        check_classes(self.inputs, self.targets, self.labels)
        check_shapes(means=(self.means, (k,)), weights=(self.weights, (c, k)), offsets=(self.offsets, (c,)))

    def predict(self, values: Floats) -> Outputs:
        return decided(self.labels, values @ self.weights.T + self.offsets)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class QuadraticClasses:
    """Normal classes: ``centres`` (classes, inputs), ``precisions`` (classes, inputs, inputs), and ``offsets``, which
    are log prior - log determinant / 2.
    """

    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    means: Floats
    labels: tuple[str, ...]
    centres: Floats
    precisions: Floats
    offsets: Floats

    def __post_init__(self) -> None:
        k, c = len(self.inputs), len(self.labels)
        check_classes(self.inputs, self.targets, self.labels)
        check_shapes(
            means=(self.means, (k,)),
            centres=(self.centres, (c, k)),
            precisions=(self.precisions, (c, k, k)),
            offsets=(self.offsets, (c,)),
        )

    def predict(self, values: Floats) -> Outputs:
        scores = np.empty((len(values), len(self.labels)))
        for c, (centre, precision) in enumerate(zip(self.centres, self.precisions, strict=True)):
            gaps = values - centre
            scores[:, c] = self.offsets[c] - 0.5 * np.einsum("ij,ij->i", gaps @ precision, gaps)
        return decided(self.labels, scores)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearDiscriminants:
    """x' S**-1 m_c - m_c' S**-1 m_c / 2 + log prior, with S the covariance within classes over n - classes.

    Exact. Raises Invalid for a missing class, rows of none or several classes, inputs that determine one another.
    """

    rcond: float = RCOND
    pseudo_inverse: bool = False
    shrinkage: Shrinkage = Shrinkage()  # noqa: RUF009  # immutable
    fitted: ClassVar[type] = LinearClasses

    def fit(self, statistics: Statistics, task: Task) -> LinearClasses:
        inputs, targets = columns_of(statistics, task)
        classes = classes_of(statistics, inputs, targets)
        found = covariances_of(statistics, inputs)
        gaps = classes.means - found.means
        free = found.n - len(classes.labels)
        if free < 1:
            raise Invalid(f"{len(classes.labels)} classes need a row more than that, there are {found.n}")
        within = (found.scatter - (classes.counts[:, None] * gaps).T @ gaps) / free
        within = self.shrinkage.applied(within, free)
        inverted = inverse(within, inputs, rcond=self.rcond, pseudo=self.pseudo_inverse)
        # about the common mean, so that large means do not cost digits
        weights = (inverted @ gaps.T).T
        offsets = classes.log_priors - 0.5 * (gaps * weights).sum(axis=1) - weights @ found.means
        return LinearClasses(
            inputs=inputs,
            targets=targets,
            means=found.means,
            labels=classes.labels,
            weights=weights,
            offsets=offsets,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class QuadraticDiscriminants:
    """log prior - log det(S_c)/2 - (x - m_c)' S_c**-1 (x - m_c)/2, with S_c the covariance of a class over n_c - 1.

    Exact. Raises Invalid when the plan has no such target, for a missing class, and for a class with too few rows.
    """

    rcond: float = RCOND
    pseudo_inverse: bool = False
    shrinkage: Shrinkage = Shrinkage()  # noqa: RUF009  # immutable
    fitted: ClassVar[type] = QuadraticClasses

    def fit(self, statistics: Statistics, task: Task) -> QuadraticClasses:
        inputs, targets = columns_of(statistics, task)
        classes = classes_of(statistics, inputs, targets)
        centres, precisions, offsets = [], [], []
        for c, part in enumerate(parts_of(statistics, targets)):
            found = covariances_of(statistics, inputs, part=part)
            if found.n < 2:
                raise Invalid(f"class {classes.labels[c]!r} has {found.n} row, too few for a covariance")
            spread = self.shrinkage.applied(found.scatter / (found.n - 1), found.n - 1)
            inverted = inverse(spread, inputs, rcond=self.rcond, pseudo=self.pseudo_inverse)
            centres.append(found.means)
            precisions.append(inverted.matrix)
            offsets.append(classes.log_priors[c] - inverted.log_determinant / 2)
        return QuadraticClasses(
            inputs=inputs,
            targets=targets,
            means=classes.view.mean[: len(inputs)],
            labels=classes.labels,
            centres=np.array(centres),
            precisions=np.array(precisions),
            offsets=np.array(offsets),
        )
