"""How good predictions are, on rows that were not learned: errors, ROC, lift, confusion and what is made of them.

These need rows and cannot come from statistics. Sources: Fawcett, Pattern Recognition Letters 27 (2006), for ROC;
Cohen, Educ. Psychol. Meas. 20 (1960), for kappa; Matthews, Biochim. Biophys. Acta 405 (1975).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foedus.core.errors import Invalid
from foedus.core.statistics.moments import Floats

Labels = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Roc:
    """False and true positive rates as the threshold falls, from (0, 0) to (1, 1), and the area below."""

    false_positive: Floats
    true_positive: Floats
    thresholds: Floats
    auc: float


def roc(truth: Floats, scores: Floats) -> Roc:
    """``truth`` 0 or 1, ``scores`` higher where 1 is likelier; equal ones are one step. Raises Invalid."""
    truth, scores = _binary(truth, scores)
    order = np.argsort(-scores, kind="stable")
    steps = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    hits = np.cumsum(truth[order])[steps]
    misses = steps + 1 - hits
    tp, fp = (np.concatenate([[0.0], counts / counts[-1]]) for counts in (hits, misses))
    area = float(((fp[1:] - fp[:-1]) * (tp[1:] + tp[:-1])).sum() / 2)
    return Roc(fp, tp, np.concatenate([[np.inf], scores[order][steps]]), area)


def lift(truth: Floats, scores: Floats, parts: int = 10) -> Floats:
    """For each part of the rows, best scores first, how many times more ones it has than all rows: (parts,)."""
    truth, scores = _binary(truth, scores)
    if not 1 <= parts <= len(truth):
        raise Invalid(f"lift is of 1 to {len(truth)} parts")
    ordered = truth[np.argsort(-scores, kind="stable")]
    shares = np.array([float(part.mean()) for part in np.array_split(ordered, parts)])
    return shares / float(truth.mean())


def confusion(truth: Labels, found: Labels, labels: Sequence[Any] | None = None) -> tuple[tuple[Any, ...], Floats]:
    """The labels, and how often each (row) was found to be each (column). Raises Invalid for labels not listed."""
    truth, found = np.asarray(truth), np.asarray(found)
    if truth.shape != found.shape or truth.ndim != 1 or not len(truth):
        raise Invalid("truth and predictions are lines of equal length, of a row or more")
    known = np.unique(np.concatenate([truth, found])) if labels is None else np.asarray(labels)
    table = (truth[:, None] == known).astype(float).T @ (found[:, None] == known).astype(float)
    if table.sum() != len(truth):
        raise Invalid("some labels are none of those listed")
    return tuple(known.tolist()), table


def recall(table: Floats) -> float:
    """Of a table of two classes, 0 and 1: which share of ones was found."""
    return _share(table[1, 1], table[1].sum())


def precision(table: Floats) -> float:
    """Of a table of two classes: which share of those found to be ones are."""
    return _share(table[1, 1], table[:, 1].sum())


def accuracy(table: Floats) -> float:
    return _share(np.trace(table), table.sum())


def matthews(table: Floats) -> float:
    """Matthews's correlation, of two classes or more (Gorodkin 2004); 0 where it has no value."""
    n, right = table.sum(), np.trace(table)
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    below = sqrt(n**2 - rows @ rows) * sqrt(n**2 - columns @ columns)
    return float((right * n - rows @ columns) / below) if below else 0.0


def kappa(table: Floats) -> float:
    """Cohen's kappa: agreement beyond chance; 0 where all rows are of one class."""
    n = table.sum()
    chance = float(table.sum(axis=1) @ table.sum(axis=0)) / n**2
    return float((np.trace(table) / n - chance) / (1 - chance)) if chance < 1 else 0.0


def weighted_f1(table: Floats) -> float:
    """The mean of the classes' F1 scores, weighted by how often each is true."""
    rows, both = table.sum(axis=1), table.sum(axis=1) + table.sum(axis=0)
    scores = np.divide(2 * np.diagonal(table), both, out=np.zeros(len(table)), where=both > 0)
    return float(rows @ scores / rows.sum())


def rmse(truth: Floats, found: Floats) -> float:
    """The root of the mean squared error."""
    truth, found = _numbers(truth, found)
    return float(np.sqrt(np.mean((truth - found) ** 2)))


def r2(truth: Floats, found: Floats) -> float:
    """1 - squared error over squares about the mean; 0 where the truth does not vary."""
    truth, found = _numbers(truth, found)
    total = ((truth - truth.mean()) ** 2).sum()
    return float(1 - ((truth - found) ** 2).sum() / total) if total > 0 else 0.0


def rmslogp1e(truth: Floats, found: Floats) -> float:
    """The root mean squared error of log(1 + value), values below 0 counting as 0."""
    truth, found = (np.log1p(np.maximum(values, 0.0)) for values in _numbers(truth, found))
    return float(np.sqrt(np.mean((truth - found) ** 2)))


def _share(above: Any, below: Any) -> float:
    return float(above / below) if below else 0.0


def _numbers(truth: Floats, found: Floats) -> tuple[Floats, Floats]:
    truth, found = np.asarray(truth, np.float64), np.asarray(found, np.float64)
    if truth.shape != found.shape or truth.ndim != 1 or not len(truth) or not np.isfinite(truth + found).all():
        raise Invalid("truth and predictions are lines of finite numbers, of equal length, of a row or more")
    return truth, found


def _binary(truth: Floats, scores: Floats) -> tuple[Floats, Floats]:
    truth, scores = _numbers(truth, scores)
    if not np.isin(truth, (0.0, 1.0)).all() or not 0 < truth.mean() < 1:
        raise Invalid("this needs rows of both classes, 0 and 1")
    return truth, scores


@dataclass(frozen=True, slots=True)
class Criterion:
    """``of`` truth and predictions; ``sign`` makes the greater the better. ``takes``: what predictions it is of."""

    of: Callable[[Any, Any], float]
    takes: str
    sign: int = 1


def _tabled(measure: Callable[[Floats], float]) -> Callable[[Any, Any], float]:
    return lambda truth, found: measure(confusion(truth, found)[1])


def _two(measure: Callable[[Floats], float]) -> Callable[[Any, Any], float]:
    return lambda truth, found: measure(confusion(truth, found, (0.0, 1.0))[1])


CRITERIA: Mapping[str, Criterion] = {
    "auc": Criterion(lambda truth, scores: roc(truth, scores).auc, "scores"),
    "recall": Criterion(_two(recall), "decisions"),
    "precision": Criterion(_two(precision), "decisions"),
    "mcc": Criterion(_two(matthews), "decisions"),
    "rmse": Criterion(rmse, "numbers", -1),
    "r2": Criterion(r2, "numbers"),
    "rmslogp1e": Criterion(rmslogp1e, "numbers", -1),
    "mf1_w": Criterion(_tabled(weighted_f1), "labels"),
    "mkappa": Criterion(_tabled(kappa), "labels"),
}
