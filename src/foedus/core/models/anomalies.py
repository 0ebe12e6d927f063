"""How unusual a row is: by what principal components leave of it, by histograms, and by distribution functions.

Sources: Shyu et al., A novel anomaly detection scheme based on principal component classifier, 2003; Goldstein and
Dengel, Histogram-based outlier score (HBOS), KI 2012; Li et al., ECOD, IEEE TKDE 35 (2023). The first is exact; the
others are as good as the sketches of the columns, whose bins hold a thousandth of the values or less.
"""

from dataclasses import dataclass
from math import inf
from typing import ClassVar

import numpy as np

from foedus.core.errors import Invalid
from foedus.core.exploration.components import MAX_DIMENSIONS, principal_components
from foedus.core.exploration.univariate import skewness
from foedus.core.models.model import Outputs, Task, check_names, check_shapes, columns_of
from foedus.core.statistics import Statistics, View
from foedus.core.statistics.moments import Floats


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Residues:
    """res is the squared length of what ``vectors`` (components, inputs) leave of a row in standard units."""

    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    means: Floats
    scale: Floats
    vectors: Floats

    def __post_init__(self) -> None:
        k = len(self.inputs)
        check_names(self.inputs, self.targets)
        if self.vectors.ndim != 2:
            raise Invalid("vectors of a model are a table of numbers")
        check_shapes(means=(self.means, (k,)), scale=(self.scale, (k,)), vectors=(self.vectors, (len(self.vectors), k)))
        if not (self.scale > 0).all():
            raise Invalid("the scale of a model is above 0")

    def predict(self, values: Floats) -> Outputs:
        units = (values - self.means) / self.scale
        rest = units - units @ self.vectors.T @ self.vectors
        return {"res": (rest**2).sum(axis=1)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentAnomaly:
    """Components of the correlation matrix that explain a share of the whole. Exact.

    Raises Invalid for inputs that do not vary.
    """

    explained: float = 0.95
    dimensions: int = MAX_DIMENSIONS
    fitted: ClassVar[type] = Residues

    def fit(self, statistics: Statistics, task: Task) -> Residues:
        inputs, targets = columns_of(statistics, task, targets=0)
        found = principal_components(statistics, inputs, explained=self.explained, dimensions=self.dimensions)
        view = statistics.view(inputs)
        return Residues(
            inputs=inputs,
            targets=targets,
            means=view.mean,
            scale=np.sqrt(view.variance()),
            vectors=found.vectors,
        )


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Histograms:
    """res is the sum of -log(share of the fullest bin's density) over inputs; ``least``, ``widths`` (inputs,),
    ``scores`` (inputs, bins + 1), the last one for values outside.
    """

    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    means: Floats
    least: Floats
    widths: Floats
    scores: Floats

    def __post_init__(self) -> None:
        k = len(self.inputs)
        check_names(self.inputs, self.targets)
        if self.scores.ndim != 2 or self.scores.shape[1] < 2:
            raise Invalid("scores of a model are a table of two columns or more")
        check_shapes(
            means=(self.means, (k,)),
            least=(self.least, (k,)),
            widths=(self.widths, (k,)),
            scores=(self.scores, (k, self.scores.shape[1])),
        )
        if not (self.widths > 0).all():
            raise Invalid("the widths of a model are above 0")

    def predict(self, values: Floats) -> Outputs:
        bins = self.scores.shape[1] - 1
        place = np.floor((values - self.least) / self.widths)
        at_end = values == self.least + bins * self.widths
        place = np.where(at_end, bins - 1, np.where((place < 0) | (place >= bins), bins, place)).astype(np.intp)
        return {"res": self.scores[np.arange(len(self.inputs)), place].sum(axis=1)}


@dataclass(frozen=True, slots=True, kw_only=True)
class HistogramAnomaly:
    """Equal bins from the least to the greatest value of each input. Approximate: shares come from sketches.

    A bin without rows, and whatever lies outside, count as ``least_share`` of a row. Raises Invalid without sketches.
    """

    bins: int = 10
    least_share: float = 0.1
    fitted: ClassVar[type] = Histograms

    def __post_init__(self) -> None:
        if not 2 <= self.bins <= 1000 or not 0 < self.least_share <= 1:
            raise Invalid("bins are 2 to 1000, least_share is above 0 and at most 1")

    def fit(self, statistics: Statistics, task: Task) -> Histograms:
        inputs, targets = columns_of(statistics, task, targets=0)
        view = statistics.view(inputs)
        _check_values(view)
        least = view.least
        widths = np.where(view.most > least, (view.most - least) / self.bins, 1.0)
        scores = np.zeros((len(inputs), self.bins + 1))
        for j in range(len(inputs)):
            counts = np.diff(below(view, j, least[j] + widths[j] * np.arange(self.bins + 1), closed=True))
            counts = np.maximum(np.append(counts, 0.0) * view.count[j], self.least_share)
            scores[j] = -np.log(counts / counts.max())
        return Histograms(inputs=inputs, targets=targets, means=view.mean, least=least, widths=widths, scores=scores)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Tails:
    """``points`` (inputs, grid) ascend; ``at_most`` and ``under``, of that shape too, are the shares of rows up to each
    and below it. ``left`` (inputs,) is 1 where the left tail is the one that counts. res is 1 where ecodscore is above
    ``threshold``.
    """

    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    means: Floats
    points: Floats
    at_most: Floats
    under: Floats
    left: Floats
    rows: int
    threshold: float

    def __post_init__(self) -> None:
        k = len(self.inputs)
        check_names(self.inputs, self.targets)
        if self.points.ndim != 2 or not self.points.shape[1] or self.rows < 1:
            raise Invalid("points of a model are a table, of at least one row that was learned")
        shape = (k, self.points.shape[1])
        check_shapes(
            means=(self.means, (k,)),
            points=(self.points, shape),
            at_most=(self.at_most, shape),
            under=(self.under, shape),
            left=(self.left, (k,)),
        )

    def predict(self, values: Floats) -> Outputs:
        least = 1.0 / self.rows
        low, high = np.zeros(values.shape), np.zeros(values.shape)
        for j in range(len(self.inputs)):
            column, points = values[:, j], self.points[j]
            low[:, j] = -np.log(np.clip(np.interp(column, points, self.at_most[j], left=0.0), least, 1.0))
            high[:, j] = -np.log(np.clip(1.0 - np.interp(column, points, self.under[j], right=1.0), least, 1.0))
        chosen = np.where(self.left > 0, low, high)
        score = np.maximum.reduce([low.sum(axis=1), high.sum(axis=1), chosen.sum(axis=1)])
        return {"res": (score > self.threshold).astype(np.float64), "ecodscore": score}


@dataclass(frozen=True, slots=True, kw_only=True)
class EmpiricalTails:
    """The greatest of three sums of -log tail shares: of left tails, of right ones, and of the one towards which each
    input leans (its skewness), unless ``use_skewness`` is false.

    Approximate: shares come from sketches, of which ``grid`` points are kept. Raises Invalid without sketches.
    """

    threshold: float = 10.0
    use_skewness: bool = True
    grid: int = 512
    fitted: ClassVar[type] = Tails

    def __post_init__(self) -> None:
        if not 2 <= self.grid <= 10_000 or not -inf < self.threshold < inf:
            raise Invalid("grid is 2 to 10000, threshold is a number")

    def fit(self, statistics: Statistics, task: Task) -> Tails:
        inputs, targets = columns_of(statistics, task, targets=0)
        view = statistics.view(inputs)
        _check_values(view)
        points, at_most, under = (np.empty((len(inputs), self.grid)) for _ in range(3))
        for j in range(len(inputs)):
            points[j] = self._points(view, j)
            at_most[j] = below(view, j, np.nextafter(points[j], inf), closed=True)
            under[j] = below(view, j, points[j], closed=False)
        variance = view.variance()
        lean = [skewness(int(n), float(c), float(v)) for n, c, v in zip(view.count, view.cube, variance, strict=True)]
        left = np.array([float(self.use_skewness and s < 0) for s in lean])
        return Tails(
            inputs=inputs,
            targets=targets,
            means=view.mean,
            points=points,
            at_most=at_most,
            under=under,
            left=left,
            rows=int(view.count.max()),
            threshold=self.threshold,
        )

    def _points(self, view: View, j: int) -> Floats:
        if view.binary[j] or view.least[j] == view.most[j]:
            return np.linspace(view.least[j], max(view.most[j], view.least[j] + 1.0), self.grid)
        found = np.maximum.accumulate(view.sketch(j).quantile(np.linspace(0.0, 1.0, self.grid)))
        found[0], found[-1] = view.least[j], view.most[j]
        return np.clip(found, view.least[j], view.most[j])


def below(view: View, j: int, points: Floats, *, closed: bool) -> Floats:
    """The share of column j below each point; with ``closed`` the greatest value counts as below the last point."""
    if view.binary[j]:
        share = np.where(points > 0, 1.0 - view.mean[j], 0.0) + np.where(points > 1, view.mean[j], 0.0)
    elif view.least[j] == view.most[j]:
        share = (points > view.least[j]).astype(np.float64)
    else:
        share = view.sketch(j).below(points)
    if closed and points[-1] >= view.most[j] * (1 - 1e-15 * np.sign(view.most[j])):
        share[-1] = 1.0
    return share


def _check_values(view: View) -> None:
    empty = [view.columns[j] for j in np.flatnonzero(view.count == 0).tolist()]
    if empty:
        raise Invalid(f"columns have no values: {empty[:10]}", columns=empty[:10])
    if not view.binary.all():
        view.sketch(int(np.flatnonzero(~view.binary)[0]))  # complains when none are kept
