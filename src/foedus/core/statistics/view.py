"""What statistics say about some columns: the numbers that tests, explorations and models start from.

All (k, k) results hold for each pair over the rows where both columns have values; ``[i, j]`` of one that is not
symmetric is about column i where j is observed too. Without missing values these rows are all rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from foedus.core.errors import Invalid
from foedus.core.statistics.moments import Flags, Floats, Integers, Moments, product_about
from foedus.core.statistics.sketch import Sketch
from foedus.core.statistics.summary import Summary


@dataclass(frozen=True, slots=True)
class Group:
    """A column where a binary one is 1, or where it is 0. ``spread`` is the sum of squares about ``mean``; without
    rows both are NaN.
    """

    n: int
    mean: float
    spread: float

    @property
    def variance(self) -> float:
        """Divided by n."""
        return self.spread / self.n if self.n else float("nan")


@dataclass(frozen=True, eq=False)
class View:
    """``rows`` also counts those where all columns are missing."""

    columns: tuple[str, ...]
    rows: int
    moments: Moments
    _extremes: tuple[Floats, Floats]
    _sketches: tuple[Sketch | None, ...]

    @property
    def binary(self) -> Flags:
        return self.moments.binary

    @cached_property
    def count(self) -> Integers:
        """How often each column has a value: (k,)."""
        return self.moments.count()

    @cached_property
    def n(self) -> Integers:
        """Rows where both columns have values: (k, k)."""
        groups = self.moments.groups
        return self.moments.counts[np.ix_(groups, groups)]

    @property
    def complete(self) -> bool:
        """Whether all columns have values in the same rows, so that ``n`` is one number."""
        return len(self.moments.counts) <= 1

    @cached_property
    def mean(self) -> Floats:
        """(k,), NaN where there is no value."""
        return np.where(self.count > 0, self.moments.centre()[0], np.nan)

    @cached_property
    def means(self) -> Floats:
        """Mean of i where j has a value too: (k, k)."""
        return self.moments.mean[:, self.moments.groups]

    @cached_property
    def spreads(self) -> Floats:
        """Sum of squares of i about its mean where j has a value too: (k, k)."""
        return self.moments.spread[:, self.moments.groups]

    @property
    def comoment(self) -> Floats:
        """Sum of products about the means: (k, k), symmetric; its diagonal is the sum of squares."""
        return self.moments.comoment

    def covariance(self, ddof: int = 0) -> Floats:
        """Co-moments over n - ``ddof``, NaN where that is not positive."""
        return _ratio(self.comoment, (self.n - ddof).astype(np.float64))

    def correlation(self) -> Floats:
        """Pearson's, in [-1, 1]; NaN where one of both does not vary."""
        return np.clip(_ratio(self.comoment, np.sqrt(self.spreads) * np.sqrt(self.spreads.T)), -1.0, 1.0)

    def variance(self, ddof: int = 0) -> Floats:
        """(k,), NaN where there are too few values."""
        return np.diagonal(self.covariance(ddof)).copy()

    @cached_property
    def cube(self) -> Floats:
        """Sum of third powers about the mean: (k,)."""
        p, n = self.moments.centre()[0], self.count
        return self._filled(self.moments.cube, n * p * (1 - p) * (1 - 2 * p))

    @cached_property
    def fourth(self) -> Floats:
        """Sum of fourth powers about the mean: (k,)."""
        p, n = self.moments.centre()[0], self.count
        return self._filled(self.moments.fourth, n * p * (1 - p) * (1 - 3 * p * (1 - p)))

    @cached_property
    def least(self) -> Floats:
        """(k,), NaN where there is no value. After rows were forgotten, the least that was ever there."""
        found = self._filled(self._extremes[0], np.where(self.mean < 1, 0.0, 1.0))
        return np.where(self.count > 0, found, np.nan)

    @cached_property
    def most(self) -> Floats:
        """(k,), like ``least``."""
        found = self._filled(self._extremes[1], np.where(self.mean > 0, 1.0, 0.0))
        return np.where(self.count > 0, found, np.nan)

    def sketch(self, i: int) -> Sketch:
        """The distribution of column i. Raises Invalid for a binary column, or when the plan keeps no sketches."""
        sketch = self._sketches[i]
        if sketch is None:
            raise Invalid(f"no distribution is kept of column {self.columns[i]!r}", column=self.columns[i])
        return sketch

    def products(self) -> Floats:
        """Sum of x * y as they are, not about means: (k, k)."""
        return self.comoment + self.n * self.means * self.means.T

    def where(self, i: int, j: int, level: int = 1) -> Group:
        """Column i where binary column j is ``level``. Raises Invalid when j is not binary."""
        m = self.moments
        if not m.binary[j]:
            raise Invalid(f"column {self.columns[j]!r} is not binary: it has no two groups", column=self.columns[j])
        g = m.groups[j]
        n, c = float(self.n[i, j]), float(m.comoment[i, j])
        ones = float(np.rint(m.mean[j, m.groups[i]] * n))
        squares = self._squares_where_one(i, j, n, ones)
        if level == 0:
            ones, c, squares = n - ones, -c, float(m.spread[i, g]) - squares
        if not ones:
            return Group(0, float("nan"), float("nan"))
        return Group(int(ones), float(m.mean[i, g]) + c / ones, max(0.0, squares - c * c / ones) if ones > 1 else 0.0)

    def squared_products(self, i: int, j: int) -> float:
        """Sum of (x * y)**2, not about means. Raises Invalid for two columns that are not binary when the plan keeps
        none.
        """
        m = self.moments
        if m.binary[i] and not m.binary[j]:
            i, j = j, i
        if m.binary[j]:
            group = self.where(i, j)
            return group.spread + group.n * group.mean**2 if group.n else 0.0
        if not m.products:
            raise Invalid("sums of squared products are not kept; make the project with products")
        rank = np.cumsum(~m.binary) - 1
        return float(product_about(m, m.mean)[rank[i], rank[j]])

    def _squares_where_one(self, i: int, j: int, n: float, ones: float) -> float:
        """Sum of squares of i about its mean where j is 1."""
        m = self.moments
        if m.binary[i]:  # x * x = x, so squares about p follow from x itself
            p = float(m.mean[i, m.groups[j]])
            return (1 - 2 * p) * float(m.comoment[i, j]) + p * (1 - p) * ones
        row = int(np.count_nonzero(~m.binary[:i]))
        column = j if m.products else int(np.count_nonzero(m.binary[:j]))
        return float(m.square[row, column] + ones / n * m.spread[i, m.groups[j]]) if n else 0.0

    def _filled(self, numeric: Floats, other: Floats) -> Floats:
        result = np.array(other, dtype=np.float64)
        result[~self.binary] = numeric
        return result


def view_of(summary: Summary, all_columns: Sequence[str], columns: Sequence[str], m: Moments) -> View:
    """``m`` are the moments of ``summary`` over ``columns``, which are some of ``all_columns``."""
    ranks = dict(
        zip(
            (c for c, flag in zip(all_columns, summary.moments.binary, strict=True) if not flag),
            range(len(all_columns)),
            strict=False,
        )
    )
    kept = [ranks[c] for c in columns if c in ranks]
    sketches = tuple(summary.sketches[ranks[c]] if summary.sketches and c in ranks else None for c in columns)
    return View(tuple(columns), summary.rows, m, (summary.least[kept], summary.most[kept]), sketches)


def _ratio(above: Floats, below: Floats) -> Floats:
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)
