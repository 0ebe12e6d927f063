"""The graphical lasso: a sparse inverse of a covariance matrix.

Sources: Friedman, Hastie, Tibshirani, Biostatistics 9 (2008); its dual: Banerjee, El Ghaoui, d'Aspremont, JMLR 9
(2008), solved by projected gradients after Duchi, Gould, Koller, UAI 2008, with steps by Birgin, Martínez, Raydan, SIAM
J. Optim. 10 (2000); parts that can be solved apart: Mazumder, Hastie, JMLR 13 (2012). Where gradients no longer lead
on, as of columns that are nearly the same, alternating directions do: Boyd et al., Found. Trends Mach. Learn. 3 (2011).
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
_PATIENCE = 10  # times that the end is looked at and has not come nearer by half
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
    here, used, sparse = _by_gradients(box, here, enough, iterations)
    if sparse is None:
        sparse = _by_alternating(box, here, enough, iterations - used)
    if sparse is None:
        raise Invalid("the graphical lasso has not settled: allow more iterations or use a greater strength")
    found: Floats = sparse / outer
    return found


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
        raise Invalid(
            "the graphical lasso has nowhere to begin: covariances contradict one another, as they do where columns "
            "lack different rows, or columns determine others; use a greater strength, or leave out such columns"
        )

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

    def gap(self, value: float, sparse: Floats) -> float:
        """By how much the aim of ``sparse`` may be off the best one at most, when ``value`` is that of a point."""
        try:
            half = np.linalg.cholesky(sparse)
        except np.linalg.LinAlgError:
            return np.inf
        aim = float((self.centre * sparse).sum() + (self.room * np.abs(sparse)).sum()) - len(sparse)
        return aim - 2 * float(np.log(np.diagonal(half)).sum()) - value

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


def _by_gradients(box: _Box, here: _Point, enough: float, iterations: int) -> tuple[_Point, int, Floats | None]:
    """Where projected gradients lead until they stop to come nearer to the end, after how many iterations, and the
    precision if this is the end.
    """
    step, latest = 1.0, [here.value]
    nearest, waited = np.inf, 0
    for turn in range(1, iterations + 1):
        before, here = here, box.onwards(here, step, min(latest))
        latest = [*latest[1 - _MEMORY :], here.value]
        moved = here.covariance - before.covariance
        bend = -float((moved * (here.precision - before.precision)).sum())
        step = float((moved * moved).sum()) / bend if bend > 0 else 1e10
        if turn % _CHECKED_EVERY == 0 or turn == iterations or not moved.any():
            sparse = box.sparse(here)
            gap = box.gap(here.value, sparse)
            if gap <= enough:
                return here, turn, sparse
            nearest, waited = (gap, 0) if gap < nearest / 2 else (nearest, waited + 1)
            if waited == _PATIENCE or not moved.any():
                return here, turn, None
    return here, iterations, None


def _by_alternating(box: _Box, here: _Point, enough: float, iterations: int) -> Floats | None:
    """The precision; None where it does not settle. A dense estimate, whose eigenvalues solve a quadratic, and a sparse
    one are drawn together by ``pull``, which is doubled or halved while one of both moves ten times as much as the
    other lags behind. ``pull * apart`` never leaves the room.
    """
    sparse: Floats = box.sparse(here)
    apart, pull = here.covariance - box.centre, 1.0
    for turn in range(1, iterations + 1):
        values, vectors = np.linalg.eigh(pull * (sparse - apart) - box.centre)
        dense = (vectors * ((values + np.sqrt(values**2 + 4 * pull)) / (2 * pull))) @ vectors.T
        dense = (dense + dense.T) / 2
        before, wanted = sparse, dense + apart
        apart = np.clip(wanted, -box.room / pull, box.room / pull)
        sparse = np.asarray(wanted - apart, dtype=np.float64)
        if turn % _CHECKED_EVERY == 0 or turn == iterations:
            point = _point(box.centre + pull * apart)
            if point is not None and box.gap(point.value, sparse) <= enough:
                return sparse
        lag, moved = float(np.linalg.norm(dense - sparse)), float(np.linalg.norm(sparse - before))
        factor = 2.0 if lag > 10 * moved else 0.5 if moved > 10 * lag else 1.0
        pull, apart = pull * factor, apart / factor
    return None
