"""k-means on micro-clusters, small summaries of rows that lie together. Approximate: micro-clusters do not split again.

Sources: Zhang et al., BIRCH, SIGMOD 1996 (summaries that add up); Arthur and Vassilvitskii, k-means++, SODA 2007.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from foedus.core.errors import Conflict, Invalid
from foedus.core.models.model import Outputs, check_names, check_shapes
from foedus.core.statistics.moments import Floats, Places

MAX_CLUSTERS = 10_000


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Centroids:
    """At most ``limit`` micro-clusters: ``counts`` (m,), ``centres`` (m, columns), ``spread`` (m,), the sum of squared
    distances of their rows. Two that merge give what their rows would, so counts, mean and total spread are exact.
    """

    columns: tuple[str, ...]
    limit: int
    counts: Floats
    centres: Floats
    spread: Floats

    def __post_init__(self) -> None:
        check_names(self.columns)
        m = len(self.counts)
        check_shapes(
            counts=(self.counts, (m,)), centres=(self.centres, (m, len(self.columns))), spread=(self.spread, (m,))
        )
        if not 1 <= self.limit <= MAX_CLUSTERS or m > self.limit or (self.counts < 1).any() or (self.spread < 0).any():
            raise Invalid(f"there are 1 to {MAX_CLUSTERS} micro-clusters, each of a row or more")

    @classmethod
    def of(cls, columns: tuple[str, ...], rows: Floats, limit: int = 200) -> "Centroids":
        """Of complete rows (n, columns); rows with a missing value are left out."""
        rows = np.asarray(rows, np.float64)
        if rows.ndim != 2 or rows.shape[1] != len(columns):
            raise Invalid("rows are a table with these columns")
        rows = rows[np.isfinite(rows).all(axis=1)]
        found = cls(
            columns=columns, limit=limit, counts=np.zeros(0), centres=np.zeros((0, len(columns))), spread=np.zeros(0)
        )
        for start in range(0, len(rows), limit):
            block = rows[start : start + limit]
            alone = cls(
                columns=columns, limit=limit, counts=np.ones(len(block)), centres=block, spread=np.zeros(len(block))
            )
            found = found.merge(alone)
        return found

    def merge(self, other: "Centroids") -> "Centroids":
        """Both together, those nearest one another joined until there are no more than ``limit``. Raises Conflict."""
        if self.columns != other.columns or self.limit != other.limit:
            raise Conflict("micro-clusters of other columns or another limit do not merge")
        counts = np.concatenate([self.counts, other.counts])
        centres = np.concatenate([self.centres, other.centres])
        spread = np.concatenate([self.spread, other.spread])
        order = np.lexsort((spread, counts, *centres.T[::-1]))  # whoever merges with whom: the same result
        joined = _joined(counts[order], centres[order], spread[order], self.limit)
        return Centroids(columns=self.columns, limit=self.limit, counts=joined[0], centres=joined[1], spread=joined[2])


def _joined(counts: Floats, centres: Floats, spread: Floats, limit: int) -> tuple[Floats, Floats, Floats]:
    """Pairs that cost least are joined, as many at a time as are needed and do not share a cluster (Ward's cost)."""
    while len(counts) > limit:
        cost = _distances(centres, centres) * (np.outer(counts, counts) / np.add.outer(counts, counts))
        np.fill_diagonal(cost, np.inf)
        partner = cost.argmin(axis=1)
        best = cost[np.arange(len(counts)), partner]
        target, keep, left = np.arange(len(counts)), np.ones(len(counts), bool), len(counts) - limit
        used = np.zeros(len(counts), bool)
        for a in np.argsort(best, kind="stable").tolist():
            b = int(partner[a])
            if left and not used[a] and not used[b]:
                used[[a, b]], keep[b], target[b], left = True, False, a, left - 1
        counts, centres, spread = _pooled(counts, centres, spread, np.cumsum(keep)[target] - 1)
    return counts, centres, spread


def _pooled(counts: Floats, centres: Floats, spread: Floats, place: Places) -> tuple[Floats, Floats, Floats]:
    m = int(place.max()) + 1
    total = np.bincount(place, counts, m).astype(np.float64)
    sums = np.zeros((m, centres.shape[1]))
    np.add.at(sums, place, centres * counts[:, None])
    middle = sums / total[:, None]
    apart = counts * ((centres - middle[place]) ** 2).sum(axis=1)
    return total, middle, np.bincount(place, spread + apart, m).astype(np.float64)


def _distances(a: Floats, b: Floats) -> Floats:
    """Squared, (rows of a, rows of b)."""
    middle = a.mean(axis=0) if len(a) else 0.0
    a, b = a - middle, b - middle
    result: Floats = np.maximum((a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T, 0.0)
    return result


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Clusters:
    """``centres`` (k, inputs); ``wssse`` is the sum of squared distances to the nearest, of all rows."""

    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    means: Floats
    centres: Floats
    counts: Floats
    wssse: float
    silhouette: float

    def __post_init__(self) -> None:
        k = len(self.inputs)
        check_names(self.inputs, self.targets)
        check_shapes(
            means=(self.means, (k,)),
            centres=(self.centres, (len(self.counts), k)),
            counts=(self.counts, (len(self.counts),)),
        )
        if not len(self.counts):
            raise Invalid("there is at least one cluster")

    def predict(self, values: Floats) -> Outputs:
        apart = _distances(values, self.centres)
        return {"res": apart.argmin(axis=1).astype(np.float64), "distance": np.sqrt(apart.min(axis=1))}


@dataclass(frozen=True, slots=True, kw_only=True)
class KMeans:
    """Lloyd's iterations on micro-clusters, weighted by their rows, from the best of ``starts`` k-means++ starts.

    ``silhouette`` is the simplified one, by distances to centres. Raises Invalid for more clusters than micro-clusters.
    """

    k: int = 3
    seed: int = 0
    iterations: int = 100
    starts: int = 8
    summary: ClassVar[str] = "kmeans"
    fitted: ClassVar[type] = Clusters

    def __post_init__(self) -> None:
        if not (1 <= self.k <= 1000 and 1 <= self.iterations <= 10_000 and 1 <= self.starts <= 100 and self.seed >= 0):
            raise Invalid("k is 1 to 1000, iterations 1 to 10000, starts 1 to 100, seed not negative")

    def fit(self, centroids: Centroids) -> Clusters:
        if len(centroids.counts) < self.k:
            raise Invalid(f"{self.k} clusters need as many micro-clusters, there are {len(centroids.counts)}")
        rng = np.random.default_rng(self.seed)
        tries = [self._settled(centroids, self._start(centroids, rng)) for _ in range(self.starts)]
        centres = min(tries, key=lambda found: _cost(centroids, found))
        centres = centres[np.lexsort(centres.T[::-1])]
        nearest = _distances(centroids.centres, centres).argmin(axis=1)
        return Clusters(
            inputs=centroids.columns,
            targets=(),
            means=centroids.counts @ centroids.centres / centroids.counts.sum(),
            centres=centres,
            counts=np.bincount(nearest, centroids.counts, self.k).astype(np.float64),
            wssse=_cost(centroids, centres) + float(centroids.spread.sum()),
            silhouette=_silhouette(centroids, centres),
        )

    def _start(self, centroids: Centroids, rng: np.random.Generator) -> Floats:
        chosen = [int(rng.choice(len(centroids.counts), p=centroids.counts / centroids.counts.sum()))]
        while len(chosen) < self.k:
            weight = centroids.counts * _distances(centroids.centres, centroids.centres[chosen]).min(axis=1)
            weight[chosen] = 0.0
            total = weight.sum()
            free = np.setdiff1d(np.arange(len(weight)), chosen)
            chosen.append(int(rng.choice(len(weight), p=weight / total) if total > 0 else free[0]))
        return centroids.centres[chosen]

    def _settled(self, centroids: Centroids, centres: Floats) -> Floats:
        for _ in range(self.iterations):
            nearest = _distances(centroids.centres, centres).argmin(axis=1)
            counts = np.bincount(nearest, centroids.counts, len(centres))
            sums = np.zeros_like(centres)
            np.add.at(sums, nearest, centroids.centres * centroids.counts[:, None])
            moved = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], centres)
            if np.array_equal(moved, centres):
                break
            centres = moved
        return centres


def _cost(centroids: Centroids, centres: Floats) -> float:
    return float(centroids.counts @ _distances(centroids.centres, centres).min(axis=1))


def _silhouette(centroids: Centroids, centres: Floats) -> float:
    if len(centres) < 2:
        return 0.0
    apart = np.sort(np.sqrt(_distances(centroids.centres, centres)), axis=1)[:, :2]
    widths = np.divide(apart[:, 1] - apart[:, 0], apart[:, 1], out=np.zeros(len(apart)), where=apart[:, 1] > 0)
    return float(centroids.counts @ widths / centroids.counts.sum())
