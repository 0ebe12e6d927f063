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
from foedus.core.statistics.products import PROCESSOR, Arithmetic, Products
from foedus.core.statistics.sketch import Sketch

MAX_MAGNITUDE = 1e70  # fourth powers of differences, and sums of these, stay finite
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


def gather(
    rows: Rows, *, products: bool = False, sketches: bool = False, threads: int = 1, on: Arithmetic = PROCESSOR
) -> Gathered:
    """The moments of ``rows``, whose products are summed ``on`` the processor or a device. Raises Invalid for
    infinities, values beyond MAX_MAGNITUDE and binaries that are not 0 or 1.
    """
    block = max(1024, on.block_bytes // (8 * max(1, len(rows.binary))))
    chunks = list(_spans(rows, block))

    def gathered(span: tuple[int, int]) -> Gathered:
        return _chunk(rows, *span, block, _Sums(rows.binary, on, products=products, sketches=sketches))

    if threads == 1 or len(chunks) == 1:
        return reduce(_added, map(gathered, chunks))
    with ThreadPoolExecutor(threads) as pool:
        return reduce(_added, pool.map(gathered, chunks))


def _spans(rows: Rows, block: int) -> Iterator[tuple[int, int]]:
    size = max(4 * block, _CHUNK_BYTES // (8 * max(1, len(rows.binary))))
    return ((start, min(start + size, rows.rows)) for start in range(0, max(1, rows.rows), size))


def _added(total: Gathered, part: Gathered) -> Gathered:
    a, b = total.moments, part.moments
    places = np.arange(len(a.groups))
    return Gathered(
        merged(*together(a, b, Seat(places, a.groups), Seat(places, b.groups), a.binary)),
        np.minimum(total.least, part.least),
        np.maximum(total.most, part.most),
        tuple(map(Sketch.merged, total.sketches, part.sketches)),
    )


def _chunk(rows: Rows, start: int, stop: int, most: int, sums: "_Sums") -> Gathered:
    size = max(1, min(most, stop - start))
    with np.errstate(over="ignore", invalid="ignore"):  # what is too large is refused before it counts
        for at in range(start, stop, size):
            end = min(at + size, stop)
            block = sums.room(end - at, size)
            rows.fill(at, end, block)
            sums.add(block)
    sums.check()
    sums.sketch(rows, start, stop)
    return sums.result()


class _Sums:
    """Sums of powers about a shift. Columns that have had values in the same rows so far share a group."""

    def __init__(self, binary: Flags, on: Arithmetic, *, products: bool, sketches: bool) -> None:
        d, c = len(binary), int(np.count_nonzero(~binary))
        self.binary, self.products, self.c = binary, products, c
        self.shift = np.zeros(d)
        self.unset = ~binary  # columns without a value so far: their shift is free
        self.groups: Places = np.zeros(d, np.intp)
        self.counts = np.zeros((1, 1), np.int64)
        self.s1 = np.zeros((d, 1))
        self.s2 = np.zeros((d, 1))
        self.s3, self.s4 = np.zeros(c), np.zeros(c)
        self._products = Products(on, d, c, products=products)
        self.least, self.most = np.full(d, np.inf), np.full(d, -np.inf)
        self.sketches = [Sketch.empty()] * c if sketches else []
        self._rows = self._ones = np.empty(0)

    def sketch(self, rows: Rows, start: int, stop: int) -> None:
        """Add rows to the sketches: of many at once, because sorting them into bins has a price a call."""
        self.sketches = [s.added(rows.values(line, start, stop)) for line, s in enumerate(self.sketches)]

    def room(self, n: int, most: int) -> Floats:
        """Where to put the next ``n`` rows: (d, n). No block has more than ``most``."""
        d = len(self.binary)
        if len(self._ones) < most:
            self._rows, self._ones = np.empty(2 * d * most), np.ones(most)
        return self._rows[: d * n].reshape(d, n)

    def add(self, u: Floats) -> None:
        """Add a block (d, n) that is in the ``room``; it is overwritten."""
        c, (d, n) = self.c, u.shape
        np.fmin(self.least, np.fmin.reduce(u, axis=1), out=self.least)
        np.fmax(self.most, np.fmax.reduce(u, axis=1), out=self.most)
        if self.unset.any():
            self._set_shift(u)
        u -= self.shift[:, None]
        s1 = u @ self._ones[:n]
        lacking = np.flatnonzero(np.isnan(s1))
        gaps = _filled(u, lacking)
        both = self._rows[: 2 * u.size].reshape(2 * d, n)
        v = np.multiply(u, u, out=both[d:])
        if (v[c:] != u[c:]).any():
            raise Invalid("a binary attribute has a value other than 0 and 1")
        s2 = self._products.add(u, v)
        uu = v[:c]
        self.s3 += _dots(uu, u[:c])
        self.s4 += _dots(uu, uu)
        if len(lacking):
            self._add_by_group(both, *_patterns(d, lacking, gaps))
        else:
            self.s1 += s1[:, None]
            self.s2 += s2[:, None]
            self.counts += n

    def check(self) -> None:
        """Raises Invalid for values that are too large, whatever they made of the sums."""
        if (self.least < -MAX_MAGNITUDE).any() or (self.most > MAX_MAGNITUDE).any():
            raise Invalid(f"a value is infinite or beyond {MAX_MAGNITUDE:g}; nothing of these rows was learned")

    def _set_shift(self, x: Floats) -> None:
        """Something near the mean of a column's first values; 0 for binary columns, whose sums are counts."""
        for column in np.flatnonzero(self.unset):
            values = x[column]
            values = values[~np.isnan(values)]
            if len(values):
                self.shift[column] = values.mean()
                self.unset[column] = False

    def _add_by_group(self, both: Floats, pattern: Places, seen: Floats) -> None:
        """Columns of one group with different patterns part here; each takes along what they had together."""
        labels = self.groups * len(seen) + pattern
        _, first, groups = np.unique(labels, return_index=True, return_inverse=True)
        old, new = self.groups[first], pattern[first]
        if len(old) > len(self.counts):
            self.groups = groups.reshape(-1)
            self.counts, self.s1, self.s2 = self.counts[np.ix_(old, old)], self.s1[:, old], self.s2[:, old]
        d = len(self.binary)
        sums = both @ seen.T
        self.s1 += sums[:d, new]
        self.s2 += sums[d:, new]
        flags = seen.astype(np.float32)  # whole numbers up to 2**24: exact, and half the time
        self.counts += (flags @ flags.T).astype(np.int64)[np.ix_(new, new)]

    def result(self) -> Gathered:
        """The sums about their means: of each moment, what its lower ones explain is taken off."""
        n = self.counts[self.groups]
        s11, s21, s22 = self._products.sums()
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
            comoment=s11 - n[:, self.groups] * (offs * offs.T),
            cube=np.zeros_like(self.s3),
            fourth=np.zeros_like(self.s4),
            square=np.zeros_like(s21),
            product=np.zeros_like(s22),
        )
        m = replace(m, cube=self.s3 - cube_about(m, off), square=s21 - square_about(m, off))
        m = replace(m, fourth=self.s4 - fourth_about(m, off))
        if self.products:
            m = replace(m, product=s22 - product_about(m, off))
        return Gathered(regrouped(settled(m)), self.least[: self.c], self.most[: self.c], tuple(self.sketches))


def _filled(u: Floats, lacking: Places) -> Flags:
    """Where these columns have no value: (k, n). There they become 0."""
    values = u[lacking]
    gaps = np.isnan(values)
    if len(lacking):
        np.copyto(values, 0.0, where=gaps)
        u[lacking] = values
    return gaps


def _patterns(d: int, lacking: Places, gaps: Flags) -> tuple[Places, Floats]:
    """Which rows of a block each of ``d`` columns has, as a place in the second: (p, n) of 0 and 1, all different.
    Columns that are not ``lacking`` have all.
    """
    known: dict[bytes, int] = {}
    pattern = np.empty(d, np.intp)
    pattern[lacking] = [known.setdefault(line.tobytes(), len(known)) for line in np.packbits(gaps, axis=1)]
    _, first = np.unique(pattern[lacking], return_index=True)
    complete = np.ones(d, bool)
    complete[lacking] = False
    pattern[complete] = len(known)
    seen = np.ones((len(known) + int(complete.any()), gaps.shape[1]))
    np.logical_not(gaps[first], out=seen[: len(known)], casting="unsafe")
    return pattern, seen


def _dots(a: Floats, b: Floats) -> Floats:
    """The inner product of each line of ``a`` with that of ``b``."""
    return np.asarray(_vecdot(a, b) if _vecdot else np.einsum("ij,ij->i", a, b))
