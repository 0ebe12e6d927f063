"""Rows become moments: block by block, with matrix products where the time goes.

A chunk of rows is summed about a shift near its mean, in blocks that stay in the cache; its sums are centred at the
end, and chunks are merged. Which rows make a chunk depends on the number of columns alone, so the result does not
depend on the number of threads.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import reduce
from typing import Protocol

import numpy as np

from foedus.core.errors import Invalid
from foedus.core.statistics.alignment import Seat, regrouped, together
from foedus.core.statistics.moments import (
    Flags,
    Floats,
    Moments,
    Places,
    cube_about,
    fourth_about,
    merged,
    product_about,
    settled,
    square_about,
)
from foedus.core.statistics.sketch import Sketch

MAX_MAGNITUDE = 1e70  # fourth powers of differences, and sums of these, stay finite
_BLOCK_BYTES = 1 << 19
_CHUNK_BYTES = 1 << 27
_vecdot = getattr(np, "vecdot", None)  # of NumPy 2, twice as fast as einsum


class Rows(Protocol):
    """Rows whose columns that are not binary come first."""

    rows: int
    binary: Flags

    def fill(self, start: int, stop: int, out: Floats) -> None:
        """Write rows ``start`` to ``stop`` into ``out`` (columns, rows), NaN where a value is missing."""
        ...

    def values(self, line: int, start: int, stop: int) -> Floats:
        """One column that is not binary: (rows,)."""
        ...


@dataclass(frozen=True, slots=True)
class Gathered:
    """Moments; and of each column that is not binary the least and greatest value, (c,), inf and -inf without values,
    and its sketch, if asked for.
    """

    moments: Moments
    least: Floats
    most: Floats
    sketches: tuple[Sketch, ...]


def gather(rows: Rows, *, products: bool = False, sketches: bool = False, threads: int = 1) -> Gathered:
    """The moments of ``rows``. Raises Invalid for infinities, values beyond MAX_MAGNITUDE and binaries that are not 0
    or 1.
    """
    chunks = list(_spans(rows))

    def gathered(span: tuple[int, int]) -> Gathered:
        return _chunk(rows, *span, _Sums(rows.binary, products=products, sketches=sketches))

    if threads == 1 or len(chunks) == 1:
        return reduce(_added, map(gathered, chunks))
    with ThreadPoolExecutor(threads) as pool:
        return reduce(_added, pool.map(gathered, chunks))


def _spans(rows: Rows) -> Iterator[tuple[int, int]]:
    size = max(4 * _block_rows(rows), _CHUNK_BYTES // (8 * max(1, len(rows.binary))))
    return ((start, min(start + size, rows.rows)) for start in range(0, max(1, rows.rows), size))


def _block_rows(rows: Rows) -> int:
    return max(1024, _BLOCK_BYTES // (8 * max(1, len(rows.binary))))


def _added(total: Gathered, part: Gathered) -> Gathered:
    a, b = total.moments, part.moments
    places = np.arange(len(a.groups))
    return Gathered(
        merged(*together(a, b, Seat(places, a.groups), Seat(places, b.groups), a.binary)),
        np.minimum(total.least, part.least),
        np.maximum(total.most, part.most),
        tuple(map(Sketch.merged, total.sketches, part.sketches)),
    )


def _chunk(rows: Rows, start: int, stop: int, sums: "_Sums") -> Gathered:
    size = max(1, min(_block_rows(rows), stop - start))
    with np.errstate(over="ignore", invalid="ignore"):  # refused by its extremes before it counts
        for at in range(start, stop, size):
            end = min(at + size, stop)
            block = sums.room(end - at, size)
            rows.fill(at, end, block)
            sums.add(block)
    sums.sketch(rows, start, stop)
    return sums.result()


class _Sums:
    """Sums of powers about a shift. Group 0 is the complete columns; each column with missing values has its own."""

    def __init__(self, binary: Flags, *, products: bool, sketches: bool) -> None:
        d, c = len(binary), int(np.count_nonzero(~binary))
        self.binary, self.products, self.c = binary, products, c
        self.shift = np.zeros(d)
        self.unset = ~binary  # columns without a value so far: their shift is free
        self.groups: Places = np.zeros(d, np.intp)
        self.counts = np.zeros((1, 1), np.int64)
        self.s1 = np.zeros((d, 1))
        self.s2 = np.zeros((d, 1))
        self.s3, self.s4 = np.zeros(c), np.zeros(c)
        self.s11 = np.zeros((d, d))
        self.s21 = np.zeros((c, d if products else d - c))
        self.s22 = np.zeros((c, c) if products else (0, 0))
        self.least, self.most = np.full(c, np.inf), np.full(c, -np.inf)
        self.sketches = [Sketch.empty()] * c if sketches else []
        self._rows = self._squares = np.empty(0)
        self._gram = np.empty((d, d))

    def sketch(self, rows: Rows, start: int, stop: int) -> None:
        """Add rows to the sketches: of many at once, because sorting them into bins has a price a call."""
        self.sketches = [s.added(rows.values(line, start, stop)) for line, s in enumerate(self.sketches)]

    def room(self, n: int, most: int) -> Floats:
        """Where to put the next ``n`` rows: (d, n). No block has more than ``most``."""
        d = len(self.binary)
        if len(self._rows) < d * most:
            self._rows, self._squares = np.empty(d * most), np.empty(d * most)
        return self._rows[: d * n].reshape(d, n)

    def add(self, u: Floats) -> None:
        """Add a block (d, n); it is overwritten."""
        c = self.c
        self._see_extremes(u[:c])
        if self.unset.any():
            self._set_shift(u)
        u -= self.shift[:, None]
        s1 = u.sum(axis=1)
        seen = self._observed(u, np.flatnonzero(np.isnan(s1)), s1)
        v = self._squares[: u.size].reshape(u.shape)
        np.multiply(u, u, out=v)
        if (v[c:] != u[c:]).any():
            raise Invalid("a binary attribute has a value other than 0 and 1")
        self.s11 += np.matmul(u, u.T, out=self._gram)
        uu = v[:c]
        self.s3 += _dots(uu, u[:c])
        self.s4 += _dots(uu, uu)
        if self.s21.size:
            self.s21 += uu @ (u if self.products else u[c:]).T
        if self.products:
            self.s22 += uu @ uu.T
        self._add_by_group(u, v, s1, seen)

    def _see_extremes(self, x: Floats) -> None:
        least = np.fmin(self.least, _extreme(np.minimum, np.fmin, x))
        most = np.fmax(self.most, _extreme(np.maximum, np.fmax, x))
        if (least < -MAX_MAGNITUDE).any() or (most > MAX_MAGNITUDE).any():
            raise Invalid(f"a value is infinite or beyond {MAX_MAGNITUDE:g}; nothing of these rows was learned")
        self.least, self.most = least, most

    def _set_shift(self, x: Floats) -> None:
        """Something near the mean of a column's first values; 0 for binary columns, whose sums are counts."""
        for column in np.flatnonzero(self.unset):
            values = x[column]
            values = values[~np.isnan(values)]
            if len(values):
                self.shift[column] = values.mean()
                self.unset[column] = False

    def _observed(self, u: Floats, lacking: Places, s1: Floats) -> tuple[Places, Floats]:
        """Which columns lack values in this block, and where they have some: (k, n) of 0 and 1. Gaps become 0."""
        if not len(lacking):
            return lacking, np.empty((0, u.shape[1]))
        values = u[lacking]
        gaps = np.isnan(values)
        np.copyto(values, 0.0, where=gaps)
        u[lacking] = values
        s1[lacking] = values.sum(axis=1)
        for column in lacking[self.groups[lacking] == 0]:
            self._open_group(int(column))
        return lacking, (~gaps).astype(np.float64)

    def _open_group(self, column: int) -> None:
        """Up to here the column was complete: what the complete ones have is its due."""
        self.groups[column] = len(self.counts)
        self.counts = np.pad(self.counts, ((0, 1), (0, 1)))
        self.counts[-1, :-1] = self.counts[0, :-1]
        self.counts[:, -1] = self.counts[:, 0]
        self.counts[-1, -1] = self.counts[0, 0]
        self.s1 = np.column_stack([self.s1, self.s1[:, 0]])
        self.s2 = np.column_stack([self.s2, self.s2[:, 0]])

    def _add_by_group(self, u: Floats, v: Floats, s1: Floats, seen: tuple[Places, Floats]) -> None:
        lacking, mask = seen
        s2 = np.diagonal(self._gram)
        own = self.groups[lacking]
        full = np.ones(len(self.counts), bool)
        full[own] = False  # the groups of columns that are complete in this block: they go with all of its rows
        self.s1 += np.multiply.outer(s1, full)
        self.s2 += np.multiply.outer(s2, full)
        self.counts += u.shape[1] * np.logical_and.outer(full, full)
        if len(lacking):
            self.s1[:, own] += u @ mask.T
            self.s2[:, own] += v @ mask.T
            count = np.rint(mask.sum(axis=1)).astype(np.int64)
            crossed = np.zeros((len(own), len(full)), np.int64)
            crossed[:, full] = count[:, None]
            crossed[:, own] = np.rint(mask @ mask.T)
            self.counts[own] += crossed
            self.counts[:, own] += np.where(full, crossed, 0).T

    def result(self) -> Gathered:
        """The sums about their means: of each moment, what its lower ones explain is taken off."""
        n = self.counts[self.groups]
        off = self.s1 / np.maximum(n, 1)
        offs = off[:, self.groups]
        shift = self.shift[:, None]
        mean = shift + off
        t = mean - shift
        m = Moments(
            products=self.products,
            binary=self.binary,
            groups=self.groups,
            counts=self.counts,
            mean=mean,
            low=(shift - (mean - t)) + (off - t),
            spread=self.s2 - n * off * off,
            comoment=self.s11 - n[:, self.groups] * (offs * offs.T),
            cube=np.zeros_like(self.s3),
            fourth=np.zeros_like(self.s4),
            square=np.zeros_like(self.s21),
            product=np.zeros_like(self.s22),
        )
        m = replace(m, cube=self.s3 - cube_about(m, off), square=self.s21 - square_about(m, off))
        m = replace(m, fourth=self.s4 - fourth_about(m, off))
        if self.products:
            m = replace(m, product=self.s22 - product_about(m, off))
        return Gathered(regrouped(settled(m)), self.least, self.most, tuple(self.sketches))


def _extreme(fast: np.ufunc, careful: np.ufunc, x: Floats) -> Floats:
    """The extreme of each line; ``careful`` passes over NaN and is several times slower."""
    result: Floats = fast.reduce(x, axis=1)
    gaps = np.isnan(result)
    if gaps.any():
        result[gaps] = careful.reduce(x[gaps], axis=1)
    return result


def _dots(a: Floats, b: Floats) -> Floats:
    """The inner product of each line of ``a`` with that of ``b``."""
    return np.asarray(_vecdot(a, b) if _vecdot else np.einsum("ij,ij->i", a, b))
