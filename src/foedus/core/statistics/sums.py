"""Sums of powers of rows about a shift, block by block."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from foedus.core.errors import Invalid
from foedus.core.statistics.gaps import Patterns, filled, patterns, sums_where_seen
from foedus.core.statistics.moments import Flags, Floats, Places
from foedus.core.statistics.products import Arithmetic, Products
from foedus.core.statistics.scratch import Scratch

MAX_MAGNITUDE = 1e70  # fourth powers of differences, and sums of these, stay finite
_PASS_BYTES = 1 << 19  # of lines at a time, which all passes but the products find in the cache
_SAMPLE = 128  # rows of a block, about, that say where a column is
_SOME = 16  # of them; fewer say too little of how far apart the values are
_FAR = 1000.0  # times how far apart values are: about a shift this far off squares lose six digits
_BUFFER = 512  # numbers: with more, NumPy copies a shift for every row before it takes it off
_vecdot = getattr(np, "vecdot", None)  # of NumPy 2, twice as fast as einsum


class Sums:
    """Sums over the blocks of a chunk, the first c of whose columns are not binary. Columns that have had values in the
    same rows so far share a group.
    """

    def __init__(self, binary: Flags, on: Arithmetic, *, products: bool, scratch: Scratch | None = None) -> None:
        d, c = len(binary), int(np.count_nonzero(~binary))
        self.binary, self.products, self.c = binary, products, c
        self._on, self._scratch = on, scratch or Scratch()
        self.shift = np.zeros(d)
        self.unset = ~binary  # columns without a value so far: their shift is free
        self.groups: Places = np.zeros(d, np.intp)
        self.counts = np.zeros((1, 1), np.int64)
        self.s1 = np.zeros((d, 1))
        self.s2 = np.zeros((d, 1))
        self.s3, self.s4 = np.zeros(c), np.zeros(c)
        self.least, self.most = np.full(c, np.inf), np.full(c, -np.inf)
        self.of_pairs = Products(on, d, c, products=products)
        self._ones = np.empty(0)

    def anew(self) -> "Sums":
        """Sums of no rows; what is in the ``room`` is in theirs."""
        return Sums(self.binary, self._on, products=self.products, scratch=self._scratch)

    def room(self, n: int) -> Floats:
        """Where to put the next ``n`` rows: (d, n)."""
        d = len(self.binary)
        room: Floats = self._scratch.take("rows", (2 * d, n))  # and for their squares, where there are gaps
        return room[:d]

    def add(self, u: Floats) -> None:
        """Add a block (d, n) that is in the ``room``; it is overwritten."""
        d, n = u.shape
        if len(self._ones) < n:
            self._ones = np.ones(n)
        if self.unset.any():
            self._set_shift(u)
        s1 = np.empty(d)
        gaps = []
        for lines in self._passes(n):
            part = u[lines]
            if lines.start < self.c:
                self._look(part, lines)
            s1[lines] = part @ self._ones[:n]
            if np.isnan(s1[lines]).any():
                lacking, missing = filled(part)
                gaps.append((lacking + lines.start, missing))
                s1[lines] = part @ self._ones[:n]
            self._add_powers(part, lines)
        squares = self._scratch.take("squares", (self.c, n)) if self.of_pairs.wants_squares else None
        s2 = self.of_pairs.add(u, squares)
        if gaps and any(len(lacking) for lacking, _ in gaps):
            lacking, missing = (np.concatenate(each) for each in zip(*gaps, strict=True))
            found = patterns(d, lacking, missing)
            both = self._scratch.take("rows", (2 * d, n))
            self._add_by_group(found, *sums_where_seen(both, s1, s2, found.gaps, self._scratch))
        else:
            self.s1 += s1[:, None]
            self.s2 += s2[:, None]
            self.counts += n

    def check(self) -> None:
        """Raises Invalid for values that are too large, whatever they made of the sums."""
        if (self.least < -MAX_MAGNITUDE).any() or (self.most > MAX_MAGNITUDE).any():
            raise Invalid(f"a value is infinite or beyond {MAX_MAGNITUDE:g}; nothing of these rows was learned")

    def _passes(self, n: int) -> Iterator[slice]:
        """Lines of one kind, as many as go through the cache together."""
        step = _lines(n)
        for first, end in ((0, self.c), (self.c, len(self.binary))):
            for start in range(first, end, step):
                yield slice(start, min(start + step, end))

    def _look(self, part: Floats, lines: slice) -> None:
        """Note extremes of lines that are not binary, and take off their shifts."""
        self.least[lines] = np.fmin(self.least[lines], np.fmin.reduce(part, axis=1))
        self.most[lines] = np.fmax(self.most[lines], np.fmax.reduce(part, axis=1))
        np.subtract(part, self.shift[lines, None], out=part)

    def _add_powers(self, part: Floats, lines: slice) -> None:
        numeric = lines.start < self.c
        if numeric and self.of_pairs.wants_squares:
            room = self._scratch.take("squares", (self.c, part.shape[1]))[lines]
        else:
            room = self._scratch.take("some squares", part.shape)
        squares = np.multiply(part, part, out=room)
        if numeric:
            self.s3[lines] += _dots(squares, part)
            self.s4[lines] += _dots(squares, squares)
        elif (squares != part).any() or np.isinf(part).any():
            raise Invalid("a binary attribute has a value other than 0 and 1")

    def far_from(self, u: Floats) -> bool:
        """Whether a column's values in a block are so far from its shift, for how far they are apart, that sums of some
        rows alone, those where another column has values, would lose too many digits.
        """
        if self.unset[: self.c].all():
            return False
        values, counts = _ordered(u[: self.c, :: _stride(u.shape[1])])
        apart = _at(values, 9 * counts // 10) - _at(values, counts // 10)
        far = np.abs(_at(values, (counts - 1) // 2) - self.shift[: self.c]) > _FAR * apart
        return bool((far & (counts >= _SOME) & ~self.unset[: self.c]).any())

    def _set_shift(self, x: Floats) -> None:
        """A value in the middle of a column's first ones, whatever a few of them are; 0 for binary columns, whose sums
        are counts.
        """
        for stride in (_stride(x.shape[1]), 1):
            columns = np.flatnonzero(self.unset)
            values, counts = _ordered(x[columns, ::stride])
            found = counts > 0
            self.shift[columns[found]] = _at(values, (counts - 1) // 2)[found]
            self.unset[columns[found]] = False

    def _add_by_group(self, found: Patterns, sums: Floats, squares: Floats) -> None:
        """Columns of one group with different patterns part here; each takes along what they had together."""
        labels = self.groups * len(found.gaps) + found.of
        _, first, groups = np.unique(labels, return_index=True, return_inverse=True)
        old, new = self.groups[first], found.of[first]
        if len(old) > len(self.counts):
            self.groups = groups.reshape(-1)
            self.counts, self.s1, self.s2 = self.counts[np.ix_(old, old)], self.s1[:, old], self.s2[:, old]
        self.s1 += sums[:, new]
        self.s2 += squares[:, new]
        self.counts += found.counts(self._scratch)[np.ix_(new, new)]


@contextmanager
def quick() -> Iterator[None]:
    """While blocks are added: what is too large is refused before it counts, and buffers are small."""
    with np.errstate(over="ignore", invalid="ignore"):
        before = np.setbufsize(_BUFFER)
        try:
            yield
        finally:
            np.setbufsize(before)


def _lines(n: int) -> int:
    return max(1, _PASS_BYTES // (8 * max(1, n)))


def _stride(n: int) -> int:
    return -(-n // _SAMPLE)


def _ordered(values: Floats) -> tuple[Floats, Places]:
    """The values of each line in order, and how many are not missing, which come first."""
    return np.sort(values, axis=1), np.count_nonzero(~np.isnan(values), axis=1)


def _at(values: Floats, places: Places) -> Floats:
    """One value of each line."""
    found: Floats = values[np.arange(len(values)), np.maximum(places, 0)]
    return found


def _dots(a: Floats, b: Floats) -> Floats:
    """The inner product of each line of ``a`` with that of ``b``."""
    return np.asarray(_vecdot(a, b) if _vecdot else np.einsum("ij,ij->i", a, b))
