"""Which rows of a block columns lack, and sums over the rows where another column has values.

Columns that lack the same rows of a block share a *pattern*.
"""

from dataclasses import dataclass

import numpy as np

from foedus.core.statistics.moments import Flags, Floats, Integers, Places
from foedus.core.statistics.scratch import Scratch


@dataclass(frozen=True, slots=True)
class Patterns:
    """Of d columns the pattern of each, (d,), and which rows each pattern lacks: (p, n), all different."""

    of: Places
    gaps: Flags

    def counts(self, scratch: Scratch) -> Integers:
        """In how many rows both of two patterns have values: (p, p)."""
        n = self.gaps.shape[1]
        flags = scratch.take("flags", self.gaps.shape, np.float32)  # exact up to 2**24, and half the time
        flags[:] = self.gaps
        both = (flags @ flags.T).astype(np.int64)
        own = np.diagonal(both)
        counts: Integers = n - own[:, None] - own + both
        return counts


def filled(u: Floats) -> tuple[Places, Flags]:
    """Turn what is missing into 0; which lines lack values, and where: (k,) and (k, n)."""
    missing = np.isnan(u)
    lacking = np.flatnonzero(missing.any(axis=1))
    np.copyto(u, 0.0, where=missing)
    return lacking, missing[lacking]


def patterns(d: int, lacking: Places, missing: Flags) -> Patterns:
    """Columns of ``d`` that are not ``lacking`` have all rows."""
    known: dict[bytes, int] = {}
    of = np.empty(d, np.intp)
    of[lacking] = [known.setdefault(line.tobytes(), len(known)) for line in np.packbits(missing, axis=1)]
    _, first = np.unique(of[lacking], return_index=True)
    complete = np.ones(d, bool)
    complete[lacking] = False
    of[complete] = len(known)
    nothing = np.zeros((int(complete.any()), missing.shape[1]), bool)
    return Patterns(of, np.concatenate([missing[first], nothing]))


def sums_where_seen(both: Floats, s1: Floats, s2: Floats, gaps: Flags, scratch: Scratch) -> tuple[Floats, Floats]:
    """Sums of the upper half of ``both`` (2d, n) and of its squares over the rows that each pattern has: 2 of (d, p).
    The lower half is room for the squares; ``s1`` and ``s2`` are the sums over all rows.
    """
    d = len(s1)
    np.multiply(both[:d], both[:d], out=both[d:])
    sums = np.repeat(np.concatenate([s1, s2])[:, None], len(gaps), axis=1)
    some = np.flatnonzero(gaps.any(axis=1))
    seen = scratch.take("seen", (len(some), both.shape[1]))
    np.logical_not(gaps[some], out=seen, casting="unsafe")
    sums[:, some] = both @ seen.T
    return sums[:d], sums[d:]
