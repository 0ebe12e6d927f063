"""The covariance matrix that models start from, and how many rows it stands for."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foedus.core.errors import Invalid
from foedus.core.statistics import Level, Statistics
from foedus.core.statistics.moments import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Covariances:
    """``scatter`` (k, k) is the sum of products about the means of ``n`` rows.

    With missing values each pair has its own rows; then ``n`` is the least number of rows that a pair has, and
    ``scatter`` the covariances over them times n: deletion by pair, which is not what deletion of rows gives.
    """

    columns: tuple[str, ...]
    n: int
    means: Floats
    scatter: Floats

    def taken(self, columns: Sequence[int]) -> "Covariances":
        at = np.asarray(columns, dtype=np.intp)
        names = tuple(self.columns[k] for k in columns)
        return Covariances(names, self.n, self.means[at], self.scatter[np.ix_(at, at)])


def covariances_of(statistics: Statistics, columns: Sequence[str], *, part: Level | None = None) -> Covariances:
    """Raises Invalid when two columns never have values in the same row."""
    view = statistics.view(columns, part=part)
    n = int(view.n.min()) if len(columns) else view.rows
    if n < 1:
        apart = [columns[k] for k in np.flatnonzero((view.n < 1).any(axis=0)).tolist()]
        raise Invalid(f"columns never have values in the same row as others: {apart[:10]}", columns=apart[:10])
    scatter = view.comoment if view.complete else view.covariance() * n
    return Covariances(tuple(columns), n, view.mean, np.array(scatter))
