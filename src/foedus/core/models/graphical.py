"""The graphical lasso: a sparse inverse of a covariance matrix.

Sources: Friedman, Hastie, Tibshirani, Biostatistics 9 (2008); its dual: Banerjee, El Ghaoui, d'Aspremont, JMLR 9
(2008), solved by projected gradients after Duchi, Gould, Koller, UAI 2008, with steps by Birgin, Martínez, Raydan, SIAM
J. Optim. 10 (2000); parts that can be solved apart: Mazumder, Hastie, JMLR 13 (2012).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from foedus.core.errors import Invalid
from foedus.core.statistics.moments import Flags, Floats, Places

_MEMORY = 8  # of the latest values, the least of which a step must improve on
_RISE = 1e-4  # of what the slope promises
_SHORTEST = 1e-10
_CHECKED_EVERY = 3  # steps: to tell how far the end is costs a fifth of one
_AT_BORDER = 1e-6  # of the room that an entry has
_ROUNDING = 1e-14  # of a value for each column


def sparse_precision(
    matrix: Floats, strength: float, tolerance: float, iterations: int, start: Floats | None = None
) -> Floats:
    """The P that maximises log det P - tr(matrix P) - strength * sum of abs(P[i,j]) off the diagonal, with a relative
    error of about ``tolerance``, 1e-7 at best. ``start`` is that of another strength. Raises Invalid when it does not
    settle.
    """
    precision = np.zeros_like(matrix)
    for at in _components(np.abs(matrix) > strength):
        where = np.ix_(at, at)
        inner = None if start is None else start[where]
        precision[where] = _connected(matrix[where], strength, tolerance, iterations, inner)
    return precision


def _components(linked: Flags) -> Iterator[Places]:
    """Columns that are linked, if only by way of others."""
    left = np.ones(len(linked), bool)
    while left.any():
        found = np.zeros(len(linked), bool)
        found[np.argmax(left)] = True
        fresh = found
        while fresh.any():
            fresh = linked[fresh].any(axis=0) & ~found
            found |= fresh
        left &= ~found
        yield np.flatnonzero(found)


def _connected(matrix: Floats, strength: float, tolerance: float, iterations: int, start: Floats | None) -> Floats:
    scale = np.sqrt(np.diagonal(matrix))
    outer = np.outer(scale, scale)
    room = strength / outer
    np.fill_diagonal(room, 0.0)
    box = _Box(matrix / outer, room)
    enough = max(tolerance**2, _ROUNDING) * len(matrix)
    here = box.begin(None if start is None else start * outer)
    step, latest = 1.0, [here.value]
    for turn in range(iterations):
        before, here = here, box.onwards(here, step, min(latest))
        latest = [*latest[1 - _MEMORY :], here.value]
        moved = here.covariance - before.covariance
        bend = -float((moved * (here.precision - before.precision)).sum())
        step = float((moved * moved).sum()) / bend if bend > 0 else 1e10
        if turn % _CHECKED_EVERY == _CHECKED_EVERY - 1 or not moved.any():
            sparse = box.sparse(here)
            if box.gap(here, sparse) <= enough:
                found: Floats = sparse / outer
                return found
    raise Invalid("the graphical lasso has not settled: allow more iterations or use a greater strength")


@dataclass(frozen=True, slots=True, eq=False)
class _Point:
    """A covariance, its inverse, and the logarithm of its determinant."""

    covariance: Floats
    precision: Floats
    value: float


@dataclass(frozen=True, slots=True, eq=False)
class _Box:
    """The dual: of all matrices that differ from ``centre`` by no more than ``room``, the one of the greatest
    determinant is the inverse of the precision. The diagonals are 1 and 0.
    """

    centre: Floats
    room: Floats

    def begin(self, precision: Floats | None) -> _Point:
        """The point nearest to the inverse of ``precision``, or to no correlation at all; where that is not positive
        definite, one on the way to what is.
        """
        k = len(self.centre)
        wanted = self._nearest(np.eye(k) if precision is None else np.linalg.inv(precision).astype(np.float64))
        away = np.abs(self.centre) > self.room
        np.fill_diagonal(away, val=False)
        share = float((self.room[away] / np.abs(self.centre[away])).min(initial=1.0))
        safe = (1 - share) * self.centre + share * np.eye(k)
        towards = 1.0
        while towards > _SHORTEST:
            point = _point(safe + towards * (wanted - safe))
            if point is not None:
                return point
            towards /= 2
        raise Invalid("the graphical lasso has nowhere to begin: leave out columns that determine others")

    def onwards(self, here: _Point, step: float, least: float) -> _Point:
        """Along the slope, which is the precision; shorter until the value rises enough."""
        target = self._nearest(here.covariance + step * here.precision)
        way = target - here.covariance
        slope = float((here.precision * way).sum())
        share = 1.0
        while share > _SHORTEST:
            point = _point(target if share == 1.0 else here.covariance + share * way)
            if point is not None and point.value >= least + _RISE * share * slope - _ROUNDING * len(way):
                return point
            share /= 2
        return here

    def sparse(self, here: _Point) -> Floats:
        """The precision without the entries whose covariance is free: in the solution they are 0."""
        inside = self.room * _AT_BORDER
        low, high = self.centre - self.room + inside, self.centre + self.room - inside
        free = (here.covariance > low) & (here.covariance < high)
        sparse: Floats = np.where(free, 0.0, here.precision)
        return sparse

    def gap(self, here: _Point, sparse: Floats) -> float:
        """By how much the aim of ``sparse`` may be off the best one at most."""
        try:
            half = np.linalg.cholesky(sparse)
        except np.linalg.LinAlgError:
            return np.inf
        aim = float((self.centre * sparse).sum() + (self.room * np.abs(sparse)).sum()) - len(sparse)
        return aim - 2 * float(np.log(np.diagonal(half)).sum()) - here.value

    def _nearest(self, covariance: Floats) -> Floats:
        return np.clip((covariance + covariance.T) / 2, self.centre - self.room, self.centre + self.room)


def _point(covariance: Floats) -> _Point | None:
    """None where it is not positive definite."""
    try:
        half = np.linalg.cholesky(covariance)
        inverse = np.linalg.inv(covariance).astype(np.float64)
    except np.linalg.LinAlgError:
        return None
    return _Point(covariance, (inverse + inverse.T) / 2, 2 * float(np.log(np.diagonal(half)).sum()))
