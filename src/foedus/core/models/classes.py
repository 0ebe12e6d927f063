"""The classes that targets stand for, and what statistics know of each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foedus.core.errors import Invalid
from foedus.core.exploration.bivariate import part_of
from foedus.core.models.model import Outputs, check_names
from foedus.core.statistics import Level, Statistics, View
from foedus.core.statistics.moments import Floats

_SLACK = 1e-6  # rows: what rounding may leave of a whole number


@dataclass(frozen=True, slots=True, eq=False)
class Classes:
    """``labels``, ``counts`` (classes,), ``means`` (classes, inputs). One binary target has classes "0" and "1";
    several have one class each, named as the column.
    """

    labels: tuple[str, ...]
    counts: Floats
    means: Floats
    view: View
    _places: tuple[tuple[int, int], ...]  # of the target among the columns, and its level

    @property
    def log_priors(self) -> Floats:
        result: Floats = np.log(self.counts / self.counts.sum())
        return result

    def spread(self, column: int, label: int) -> float:
        """The sum of squares of an input about its mean in a class."""
        return self.view.where(column, *self._places[label]).spread


def check_classes(inputs: tuple[str, ...], targets: tuple[str, ...], labels: tuple[str, ...]) -> None:
    """Raises Invalid for names that a classifier cannot have, and for a single class."""
    check_names(inputs, targets, labels)
    if len(labels) < 2:
        raise Invalid("a classifier has at least two classes")


def classes_of(statistics: Statistics, inputs: Sequence[str], targets: Sequence[str]) -> Classes:
    """Raises Invalid for targets that are not binary, classes without rows, and rows of none or several classes."""
    if not targets:
        raise Invalid("name a target: a category, a binary column, or one binary column for each class")
    view = statistics.view([*inputs, *targets])
    k = len(inputs)
    rest = [name for j, name in enumerate(targets) if not view.binary[k + j]]
    if rest:
        raise Invalid(f"targets of a classifier are binary or a category, not so {rest[:10]}", columns=rest[:10])
    places = tuple((k + j, 1) for j in range(len(targets))) if len(targets) > 1 else ((k, 0), (k, 1))
    labels = tuple(targets) if len(targets) > 1 else ("0", "1")
    n = float(view.n[k:, k:].min())
    ones = view.mean[k:] * n
    counts = np.array([ones[j - k] if level else n - ones[j - k] for j, level in places])
    missing = [labels[c] for c in np.flatnonzero(~(counts > 0.5)).tolist()]
    if missing:
        raise Invalid(f"there are no rows of these classes: {missing[:10]}", classes=missing[:10])
    together = view.products()[k:, k:][~np.eye(len(targets), dtype=bool)]
    if abs(counts.sum() - n) > _SLACK * max(1.0, n) or (together > 0.5).any():
        raise Invalid(
            "each row must be of exactly one class: name the columns of all classes, of which each row has one"
        )
    signs = np.array([1.0 if level else -1.0 for _, level in places])
    cross = np.array([view.comoment[:k, j] for j, _ in places])
    return Classes(labels, counts, view.mean[:k] + signs[:, None] * cross / counts[:, None], view, places)


def parts_of(statistics: Statistics, targets: Sequence[str]) -> list[Level]:
    """The parts of the plan that have the rows of each class. Raises Invalid when one is not kept."""
    if len(targets) > 1:
        return [part_of(statistics, target) for target in targets]
    _, one = part_of(statistics, targets[0])
    if one != "1":
        raise Invalid(f"a single level, {targets[0]!r}, makes no classes: name the category instead")
    if (targets[0], "0") not in statistics.parts:
        raise Invalid(f"there are no rows where {targets[0]!r} is 0")
    return [(targets[0], "0"), (targets[0], "1")]


def decided(labels: tuple[str, ...], scores: Floats) -> Outputs:
    """The likeliest class of each row of log-likelihoods (rows, classes), and the probability of each class."""
    largest = scores.max(axis=1, keepdims=True)
    weights = np.exp(scores - largest)
    shares = weights / weights.sum(axis=1, keepdims=True)
    best = scores.argmax(axis=1) if len(scores) else np.zeros(0, np.intp)
    at = np.arange(len(scores))
    each = {label: shares[:, c] for c, label in enumerate(labels)}
    return {**each, "res": np.array(labels, dtype=np.str_)[best], "Prob": shares[at, best]}
