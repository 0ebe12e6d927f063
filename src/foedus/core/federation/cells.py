"""Cells of too few rows: where statistics would tell of single people.

A *cell* is a set of rows of which statistics keep sums: those where a column has a value, or has one although another
has none; where a binary column is 1, and where it is 0; and the same among the rows where a target has one level. A
sum over one row is that row. Complements count as well, for they are differences of sums.
"""

from collections.abc import Iterator

import numpy as np

from foedus.core.statistics import Statistics
from foedus.core.statistics.moments import Flags, Floats, Integers, Moments


def attributes_with_few(statistics: Statistics, least: int) -> tuple[str, ...]:
    """Attributes that have a cell of some rows, but fewer than ``least``. A cell of no rows tells of nobody."""
    few = np.zeros(len(statistics.columns), dtype=bool)
    for summary in (statistics.total, *statistics.parts.values()):
        few |= _few(summary.moments, least)
    schema = statistics.schema
    return tuple(schema.attributes[k].name for k in np.unique(schema.owners[few]))


def _few(m: Moments, least: int) -> Flags:
    found = np.zeros(len(m.groups), dtype=bool)
    for cells in _cells(m):
        found |= ((cells > 0) & (cells < least)).any(axis=1)
    return found


def _cells(m: Moments) -> Iterator[Integers | Floats]:
    """Numbers of rows: (d, G), those of a column's cells in a row of the array."""
    counts, ones = m.counts[m.groups], m.ones()
    yield counts
    yield m.count()[:, None] - counts
    yield ones
    yield np.where(m.binary[:, None], counts - ones, 0.0)
