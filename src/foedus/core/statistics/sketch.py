"""The distribution of a column in at most MAX_BINS bins, the same bytes whatever the order of merging.

Floats are ordered by their bits (negative ones by the complement), so that a number's bits are a whole number that
grows with it. A bin is all numbers whose bits agree but for the ``coarseness`` lowest. A sketch has the least
coarseness at which no more than MAX_BINS bins are occupied: a property of the set of values alone, hence merging is
commutative and associative to the bit. Bins are as narrow as the data are dense: around 1e8 +- 1 as around 0.

Bins have borders of their own, at most 2**(coarseness - 52) of a value apart; a quantile is wrong by less than its bin.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from foedus.core.errors import Conflict, Invalid
from foedus.core.statistics.moments import Floats, Integers

MAX_BINS = 1024
MAX_COARSENESS = 54  # numbers up to 1e70 have fewer than MAX_BINS bins then
_TABLE = 1 << 12  # keys that span no more are counted in a table, which is many times faster than sorting
_SAMPLE = 4 * MAX_BINS
_SPAN = 1 << 16  # values at a time: what they are turned into stays in the cache
_SIGN = np.int64(np.iinfo(np.int64).max)


@dataclass(frozen=True, slots=True, eq=False)
class Sketch:
    """``counts[k]`` values in the bin ``keys[k]``, keys ascending."""

    coarseness: int
    keys: Integers
    counts: Integers

    @classmethod
    def empty(cls) -> Self:
        return cls(0, np.zeros(0, np.int64), np.zeros(0, np.int64))

    @classmethod
    def counted(cls, values: Floats, counts: Integers) -> "Sketch":
        """Of ``counts[k]`` rows with ``values[k]``, none of which is NaN."""
        keys, rows = _summed(_lattice(values), counts)
        return _coarser(cls(0, keys, rows), _excess(keys))

    @property
    def n(self) -> int:
        return int(self.counts.sum())

    def bits(self) -> tuple[int, bytes, bytes]:
        """Everything in it, for comparison."""
        return self.coarseness, self.keys.tobytes(), self.counts.tobytes()

    def added(self, values: Floats) -> "Sketch":
        """With these values too; NaN are passed over."""
        # Some of the values tell how coarse all of them will be at least, which spares sorting the others.
        sketch = _with_keys(self, _lattice(values[:_SAMPLE]))
        for start in range(_SAMPLE, len(values), _SPAN):
            sketch = _with_keys(sketch, _lattice(values[start : start + _SPAN]))
        return sketch

    def merged(self, other: "Sketch") -> "Sketch":
        coarse = max(self.coarseness, other.coarseness)
        return _joined(_coarser(self, coarse), _coarser(other, coarse))

    def without(self, other: "Sketch") -> "Sketch":
        """Raises Conflict when ``other`` has values that are not in here. Bins stay as coarse as they are."""
        coarse = max(self.coarseness, other.coarseness)
        mine, theirs = _coarser(self, coarse), _coarser(other, coarse)
        left = _summed(np.concatenate([mine.keys, theirs.keys]), np.concatenate([mine.counts, -theirs.counts]))
        if (left[1] < 0).any():
            raise Conflict("these rows cannot be forgotten: some of their values were never learned")
        kept = left[1] > 0
        return Sketch(coarse, left[0][kept], left[1][kept]) if kept.any() else Sketch.empty()

    @property
    def edges(self) -> tuple[Floats, Floats]:
        """The least value of each bin, and the least one above it."""
        return _numbers(self.keys << self.coarseness), _numbers((self.keys + 1) << self.coarseness)

    def below(self, points: Floats) -> Floats:
        """The share of values below each point, evenly spread within a bin. Raises Invalid for no values."""
        low, high = self.edges
        if not len(low):
            raise Invalid("a sketch of no values has no distribution")
        total = np.concatenate([[0], np.cumsum(self.counts)])
        place = np.searchsorted(low, points, side="right") - 1
        at = np.maximum(place, 0)
        with np.errstate(over="ignore"):
            within = np.clip((points - low[at]) / (high[at] - low[at]), 0.0, 1.0)
        share = (total[at] + within * self.counts[at]) / total[-1]
        return np.where(place < 0, 0.0, share)

    def distance(self, other: "Sketch") -> float:
        """The greatest distance of both distribution functions at the edges of their bins, which is Kolmogorov and
        Smirnov's D up to the largest bin's share. Raises Invalid for no values.
        """
        points = np.unique(np.concatenate([*self.edges, *other.edges]))
        return float(np.abs(self.below(points) - other.below(points)).max())

    def quantile(self, shares: Floats) -> Floats:
        """The values below which these shares of all values lie. Raises Invalid for no values."""
        low, high = self.edges
        if not len(low):
            raise Invalid("a sketch of no values has no quantiles")
        upto = np.cumsum(self.counts)
        target = np.clip(shares, 0.0, 1.0) * upto[-1]
        at = np.minimum(np.searchsorted(upto, target, side="left"), len(upto) - 1)
        within = 1.0 - (upto[at] - target) / self.counts[at]
        values: Floats = low[at] + within * (high[at] - low[at])
        return values


def _with_keys(sketch: Sketch, lattice: Integers) -> Sketch:
    if not len(lattice):
        return sketch
    return _joined(sketch, Sketch(sketch.coarseness, *_counted(lattice >> sketch.coarseness)))


def _joined(a: Sketch, b: Sketch) -> Sketch:
    keys, counts = _summed(np.concatenate([a.keys, b.keys]), np.concatenate([a.counts, b.counts]))
    return _coarser(Sketch(a.coarseness, keys, counts), a.coarseness + _excess(keys))


def _excess(keys: Integers) -> int:
    """How many more low bits must go until MAX_BINS bins are left.

    Two neighbours fall into one bin when all bits in which they differ are gone; so the lengths of the differing parts,
    the longest MAX_BINS - 1 of which keep their border, tell it at once.
    """
    if len(keys) <= MAX_BINS:
        return 0
    differing = (keys[1:] ^ keys[:-1]).view(np.uint64)
    differing &= ~(differing >> np.uint64(1))  # as long as before, and no longer rounded up by the next step
    lengths = np.frexp(differing.astype(np.float64))[1]
    return int(np.partition(lengths, -MAX_BINS)[-MAX_BINS])


def _coarser(sketch: Sketch, coarseness: int) -> Sketch:
    steps = coarseness - sketch.coarseness
    if not steps:
        return sketch
    return Sketch(coarseness, *_summed(sketch.keys >> steps, sketch.counts))


def _summed(keys: Integers, counts: Integers) -> tuple[Integers, Integers]:
    if not len(keys):
        return keys, counts
    order = np.argsort(keys, kind="stable")
    keys, counts = keys[order], counts[order]
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    return keys[starts], np.add.reduceat(counts, starts)


def _counted(keys: Integers) -> tuple[Integers, Integers]:
    lowest, highest = int(keys.min()), int(keys.max())
    if highest - lowest >= max(_TABLE, 4 * len(keys)):
        found, counts = np.unique(keys, return_counts=True)
        return found, counts.astype(np.int64)
    counts = np.bincount(keys - lowest)
    (found,) = np.nonzero(counts)
    return found + lowest, counts[found].astype(np.int64)


def _lattice(values: Floats) -> Integers:
    """NaN are left out."""
    values = values[~np.isnan(values)]
    bits = np.ascontiguousarray(values + 0.0).view(np.int64)  # + 0.0: there is one zero
    negative = bits >> 63  # all bits set, or none; a choice by value would cost ten times as much
    negative &= _SIGN
    bits ^= negative
    return bits


def _numbers(lattice: Integers) -> NDArray[np.float64]:
    bits = np.where(lattice < 0, lattice ^ _SIGN, lattice)
    return np.clip(np.nan_to_num(bits.view(np.float64), nan=np.inf), -1.7e308, 1.7e308)
