"""Moments and co-moments of columns under missing values, as a value that merges.

For every pair of columns all sums run over the rows where both are observed. Columns that are always observed
together form a *group*; what depends on the partner's missing values alone is kept for each group, not for each
partner. Data without missing values are one group and cost nothing extra.

With m[i,g] the mean of column i over the rows where i and some column of group g are observed, u[i] = x[i] - m[i,
group of j], and v[j] likewise:

    counts[g,h]     number of rows                    spread[i,g]      sum of u**2
    mean + low      m, to 106 bits                    comoment[i,j]    sum of u*v
    cube[i]         sum of u**3 over all rows of i    square[i,j]      sum of u**2 * v
    fourth[i]       sum of u**4 over all rows of i    product[i,j]     sum of u**2 * v**2

Columns of zeros and ones are counted: their sums follow from whole numbers, are rounded once, and are the same bits
whatever the order of merging. ``cube``, ``fourth`` and the rows of ``square`` and ``product`` are for the other
columns.

Sources: Chan, Golub, LeVeque, The American Statistician 37 (1983); Pébay, SAND2008-6212.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Places = NDArray[np.intp]
Flags = NDArray[np.bool_]

Scalar = TypeVar("Scalar", bound=np.generic)

_BLOCK = 1 << 15  # numbers of a matrix at a time, of which some ten arrays are made on the way
_ROUNDING = 1e-9  # how far rounding may lead beyond Cauchy's inequality


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Moments:
    """Shapes, for d columns, of which c are not binary, in G groups: ``groups`` (d,), ``counts`` (G, G); ``mean``,
    ``low``, ``spread`` (d, G); ``comoment`` (d, d); ``cube``, ``fourth`` (c,); ``square`` (c, binary columns), or (c,
    d) when products are kept; ``product`` (c, c), or (0, 0) when they are not.
    """

    products: bool
    binary: Flags
    groups: Places
    counts: Integers
    mean: Floats
    low: Floats
    spread: Floats
    comoment: Floats
    cube: Floats
    fourth: Floats
    square: Floats
    product: Floats

    @classmethod
    def empty(cls, *, products: bool = False) -> Self:
        """Of no columns."""
        return cls.zeros(np.zeros(0, bool), np.zeros(0, np.intp), products=products)

    @classmethod
    def zeros(cls, binary: Flags, groups: Places, *, products: bool) -> Self:
        """Of no rows."""
        d, c = len(binary), int(np.count_nonzero(~binary))
        g = int(groups.max()) + 1 if d else 0
        return cls(
            products=products,
            binary=binary,
            groups=groups,
            counts=np.zeros((g, g), np.int64),
            mean=np.zeros((d, g)),
            low=np.zeros((d, g)),
            spread=np.zeros((d, g)),
            comoment=np.zeros((d, d)),
            cube=np.zeros(c),
            fourth=np.zeros(c),
            square=np.zeros((c, d if products else d - c)),
            product=np.zeros((c, c) if products else (0, 0)),
        )

    @property
    def numeric(self) -> Places:
        """Places of the columns that are not binary: the rows of ``square``."""
        return np.flatnonzero(~self.binary)

    @property
    def watched(self) -> Places:
        """Places of the columns that ``square`` has: the binary ones, or all when products are kept."""
        return np.arange(len(self.binary)) if self.products else np.flatnonzero(self.binary)

    def count(self) -> Integers:
        """How often each column was observed: (d,)."""
        return np.diagonal(self.counts)[self.groups]

    def centre(self) -> tuple[Floats, Floats]:
        """The mean of each column over all its rows, as a float64 and the rest that it leaves: 2 of (d,)."""
        at = np.arange(len(self.groups))
        return self.mean[at, self.groups], self.low[at, self.groups]

    def ones(self) -> Floats:
        """How often each binary column was 1 where group g was observed, 0 for other columns: (d, G), whole numbers."""
        return np.where(self.binary[:, None], np.rint(self.mean * self.counts[self.groups]), 0.0)

    def arrays(self) -> Iterable[NDArray[np.generic]]:
        """All arrays, in the order above."""
        return (getattr(self, field.name) for field in fields(self) if field.name != "products")


def merged(a: Moments, b: Moments) -> Moments:
    """The moments of the rows of both. They must be aligned: see ``alignment``."""
    return _combined(a, b, 1)


def without(a: Moments, b: Moments) -> Moments:
    """The moments of the rows of ``a`` less those of ``b``. They must be aligned, and no count may become negative."""
    return _combined(a, b, -1)


def by_partner(values: NDArray[Scalar], groups: Places) -> NDArray[Scalar]:
    """Values (d, G) for each column and each partner, whose group counts: (d, d), not to be written to."""
    if values.shape[1] == 1:
        return np.broadcast_to(values, (len(values), len(groups)))
    return values[:, groups]


def settled(m: Moments) -> Moments:
    """``m`` with what is known exactly put exactly: counted columns, and what fewer than two rows leave no choice."""
    n = m.counts[m.groups]  # (d, G)
    some = np.maximum(n, 1)
    ones = m.ones()
    flags = m.binary[:, None]
    share = ones / some
    mean = np.where(n > 0, np.where(flags, share, m.mean), 0.0)
    low = np.where((n > 0) & ~flags, m.low, 0.0)
    spread = np.where(flags, ones * ((n - ones) / some), np.where(n > 1, np.maximum(m.spread, 0.0), 0.0))
    _raise(spread, m)
    comoment, square, product = _bounded(m, n, spread)
    _count_both(comoment, m, ones, n)
    at = np.arange(len(m.groups))
    comoment[at, at] = spread[at, m.groups]
    numeric = m.numeric
    own = m.count()[numeric]
    second = spread[numeric, m.groups[numeric]]
    fourth = np.where(own > 1, np.clip(m.fourth, second**2 / np.maximum(own, 1), second**2), 0.0)
    cube = np.where(own > 1, _within(m.cube, np.sqrt(fourth) * np.sqrt(second)), 0.0)
    if m.products:
        square[np.arange(len(numeric)), numeric] = cube
        np.fill_diagonal(product, fourth)
    return replace(
        m,
        mean=mean,
        low=low,
        spread=spread,
        comoment=comoment,
        cube=cube,
        fourth=fourth,
        square=square,
        product=product,
    )


def _bounded(m: Moments, n: Integers, spread: Floats) -> tuple[Floats, Floats, Floats]:
    """``comoment``, ``square`` and ``product`` within what the spreads (d, G) of columns allow; 0 for pairs that fewer
    than two rows (``n``: (d, G)) have.
    """
    comoment, square, product = np.empty_like(m.comoment), np.empty_like(m.square), np.empty_like(m.product)
    root = np.sqrt(spread)
    for at in _blocks(np.arange(len(m.groups)), len(m.groups)):
        bound = root[at][:, m.groups] * root[:, m.groups[at]].T
        comoment[at] = np.where(n[at][:, m.groups] > 1, _within(m.comoment[at], bound), 0.0)
    i, j = m.numeric, m.watched
    for rows in _blocks(np.arange(len(i)), len(j)):
        at, of = i[rows], m.groups[j]
        bound = spread[at][:, of] * root[j][:, m.groups[at]].T
        square[rows] = np.where(n[at][:, of] > 1, _within(m.square[rows], bound), 0.0)
    for rows in _blocks(np.arange(len(product)), len(product)):
        at, of = i[rows], m.groups[i]
        bound = spread[at][:, of] * spread[i][:, m.groups[at]].T
        product[rows] = np.where(n[at][:, of] > 1, np.clip(m.product[rows], 0.0, bound), 0.0)
    return comoment, square, product


def _blocks(rows: Places, columns: int) -> Iterator[Places]:
    """The rows of a matrix, some at a time: what is worked out on the way stays in the processor's cache."""
    step = max(1, _BLOCK // max(1, columns))
    return (rows[start : start + step] for start in range(0, len(rows), step))


def _raise(spread: Floats, m: Moments) -> None:
    """Raise the spreads of columns that are not binary to what co-moments with binary ones imply: a spread over a few
    rows next to others far away is less precise than these, and would cut them off.
    """
    i, b = m.numeric, np.flatnonzero(m.binary)
    theirs = spread[b][:, m.groups[i]]  # counted, so exact
    implied = m.comoment[np.ix_(b, i)] ** 2 / np.where(theirs > 0, theirs, np.inf)
    least = np.zeros((spread.shape[1], len(i)))
    np.maximum.at(least, m.groups[b], implied)
    spread[i] = np.where(spread[i] > 0, np.maximum(spread[i], least.T), 0.0)


def _within(values: Floats, bound: Floats) -> Floats:
    """Values that are no further from 0 than ``bound``, but for rounding: Cauchy's inequality holds for sums of real
    rows.
    """
    bound = bound * (1.0 + _ROUNDING)
    return np.clip(values, -bound, bound)


def _count_both(comoment: Floats, m: Moments, ones: Floats, n: Integers) -> None:
    """Make the co-moments of binary columns n11 - n1*n2/n, with n11 the whole number that they stand for."""
    b = np.flatnonzero(m.binary)
    if not len(b):
        return
    if len(b) == len(m.binary):
        where: tuple[Places, ...] | slice = slice(None)
    else:
        where = np.ix_(b, b)
    given = ones[b][:, m.groups[b]]
    by_chance = given * given.T / np.maximum(n[b][:, m.groups[b]], 1)
    comoment[where] = np.rint(comoment[where] + by_chance) - by_chance


def _combined(a: Moments, b: Moments, sign: int) -> Moments:
    """Moments of rows added to (``sign`` 1) or taken from (-1) those of ``a``.

    With d = mean(b) - mean(a) and w = sign*nb/n the new mean is mean(a) + w*d, which is w*d away from that of a and
    (w - 1)*d from that of b. Sums about their own mean are moved there and added.
    """
    counts = a.counts + sign * b.counts
    na, nb, n = (x[a.groups].astype(np.float64) for x in (a.counts, b.counts, counts))
    gap = _difference(a, b)
    share = sign * nb / np.maximum(n, 1.0)
    mean, low = _moved(a, gap * share)
    if sign == 1:
        mean, low = np.where(na > 0, mean, b.mean), np.where(na > 0, low, b.low)
    weight = share * na
    gaps = by_partner(gap, a.groups)
    from_a, from_b = -gap * share, gap * (1.0 - share)
    return settled(
        replace(
            a,
            counts=counts,
            mean=mean,
            low=low,
            spread=a.spread + sign * b.spread + gap * gap * weight,
            comoment=a.comoment + sign * b.comoment + gaps * gaps.T * by_partner(weight, a.groups),
            cube=cube_about(a, from_a) + sign * cube_about(b, from_b),
            fourth=fourth_about(a, from_a) + sign * fourth_about(b, from_b),
            square=square_about(a, from_a) + sign * square_about(b, from_b),
            product=product_about(a, from_a) + sign * product_about(b, from_b) if a.products else a.product,
        )
    )


def _difference(a: Moments, b: Moments) -> Floats:
    """mean(b) - mean(a), to the last digit although both may be large: Knuth's two-sum (TAOCP 4.2.2)."""
    d = b.mean - a.mean
    t = d - b.mean
    rest = (b.mean - (d - t)) - (a.mean + t)
    return d + (rest + (b.low - a.low))


def _moved(a: Moments, step: Floats) -> tuple[Floats, Floats]:
    """mean(a) + ``step`` to 106 bits."""
    total = a.mean + step
    t = total - a.mean
    rest = (a.mean - (total - t)) + (step - t) + a.low
    mean = total + rest
    return mean, rest - (mean - total)


def _own(m: Moments, shift: Floats) -> tuple[Floats, Floats, Floats]:
    """For the columns that are not binary: rows, shift and spread over all their own rows."""
    i = m.numeric
    g = m.groups[i]
    return m.counts[g, g].astype(np.float64), shift[i, g], m.spread[i, g]


def cube_about(m: Moments, shift: Floats) -> Floats:
    """Sums of (u + shift)**3."""
    n, s, spread = _own(m, shift)
    return m.cube + 3 * s * spread + n * s**3


def fourth_about(m: Moments, shift: Floats) -> Floats:
    """Sums of (u + shift)**4."""
    n, s, spread = _own(m, shift)
    return m.fourth + 4 * s * m.cube + 6 * s**2 * spread + n * s**4


def square_about(m: Moments, shift: Floats) -> Floats:
    """Sums of (u + su)**2 * (v + sv)."""
    i, j = m.numeric, m.watched
    if not m.square.size:
        return m.square
    found, of = np.empty_like(m.square), m.groups[j]
    for rows in _blocks(np.arange(len(i)), len(j)):
        at = i[rows]
        su, sv = shift[at][:, of], shift[j][:, m.groups[at]].T
        n, spread = m.counts[np.ix_(m.groups[at], of)], m.spread[at][:, of]
        found[rows] = m.square[rows] + 2 * su * m.comoment[np.ix_(at, j)] + sv * (spread + n * su**2)
    return found


def product_about(m: Moments, shift: Floats) -> Floats:
    """Sums of (u + su)**2 * (v + sv)**2."""
    i, found = m.numeric, np.empty_like(m.product)
    of = m.groups[i]
    for rows in _blocks(np.arange(len(i)), len(i)):
        at = i[rows]
        su, sv = shift[at][:, of], shift[i][:, m.groups[at]].T
        n = m.counts[np.ix_(m.groups[at], of)]
        uv, uuv, uvv = m.comoment[np.ix_(at, i)], m.square[np.ix_(rows, i)], m.square[:, at].T
        uu, vv = m.spread[at][:, of], m.spread[i][:, m.groups[at]].T
        # u*u*v*v needs the same bits on both sides of the diagonal: sums below are of a number and its mirror image.
        crossed, outer = 2 * sv * uuv + 2 * su * uvv, sv * sv * uu + su * su * vv
        found[rows] = m.product[rows] + crossed + outer + 4 * (su * sv) * uv + n * ((su * su) * (sv * sv))
    return found
