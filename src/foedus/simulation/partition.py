"""Divides labelled examples among participants the way reality does: unevenly."""

import numpy as np
from numpy.typing import NDArray

from foedus.core.errors import Invalid


def dirichlet_partition(
    labels: NDArray[np.int64], n: int, alpha: float, rng: np.random.Generator, *, minimum: int = 1
) -> list[NDArray[np.int64]]:
    """Indices of ``labels`` in ``n`` disjoint parts that cover all of them, each of at least ``minimum`` examples.

    For every class the shares of the parts are drawn from a symmetric Dirichlet distribution with concentration
    ``alpha`` (Hsu, Qi and Brown, 2019, arXiv:1909.06335): at 100 all parts look alike, at 0.1 most parts hold few
    classes. A part that comes out too small is filled up with random examples of the part that then has the most.
    """
    if n < 1 or minimum < 0 or not alpha > 0:
        raise Invalid("a partition needs n of at least 1, a minimum of at least 0 and alpha above 0")
    if n * minimum > len(labels):
        raise Invalid(f"{len(labels)} examples do not make {n} parts of at least {minimum}")
    parts: list[list[int]] = [[] for _ in range(n)]
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        cuts = np.cumsum(rng.dirichlet(np.full(n, alpha)))[:-1]
        for part, share in zip(parts, np.split(members, np.rint(cuts * len(members)).astype(int)), strict=True):
            part.extend(share.tolist())
    _fill_up(parts, minimum, rng)
    return [rng.permutation(np.array(part, dtype=np.int64)) for part in parts]


def _fill_up(parts: list[list[int]], minimum: int, rng: np.random.Generator) -> None:
    for part in parts:
        while len(part) < minimum:
            largest = max(parts, key=len)
            part.append(largest.pop(int(rng.integers(len(largest)))))
