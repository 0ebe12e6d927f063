"""Coordinate descent for the elastic net on moments. Source: Friedman, Hastie, Tibshirani, J. Stat. Software 33 (2010).

Minimises b'Gb/2 - c'b + strength * (mix * sum(abs(b)) + (1 - mix)/2 * b'b), where G and c are sums of products over n.
Descent finds which coordinates are not zero, and their signs; given these, the rest is a linear system, which is solved
at once as soon as descent takes its time (after Osborne, Presnell, Turlach, IMA J. Numer. Anal. 20, 2000).
"""

from dataclasses import dataclass

import numpy as np

from foedus.core.statistics.moments import Floats, Places

_PATIENCE = 5  # sweeps over the coordinates in use before their system is solved
_DROPS = 20  # coordinates that may change sign on the way to its solution
_SINGULAR = 1e-13
_LEFT = 1e-9  # of the right side: more is no solution, but what rounding makes of a singular system


@dataclass(frozen=True, slots=True, eq=False)
class Descent:
    """``b`` (k,) and after how many sweeps; ``settled`` says whether the last one moved it less than the tolerance."""

    b: Floats
    sweeps: int
    settled: bool


class Systems:
    """The linear systems (G[at, at] + ridge * I) x = right. One that comes again for the same places is solved by its
    eigenvalues, whatever its ridge.
    """

    def __init__(self, gram: Floats) -> None:
        self._gram = gram
        self._at = b""
        self._parts: tuple[Floats, Floats] | None = None

    def knows(self, at: Places) -> bool:
        """Whether these places were the latest."""
        return len(at) > 0 and at.tobytes() == self._at

    def solved(self, at: Places, right: Floats, ridge: float) -> Floats | None:
        """None for a singular one."""
        again, self._at = self.knows(at), at.tobytes()
        if not again:
            self._parts = None
            return _direct(self._gram[np.ix_(at, at)] + ridge * np.eye(len(at)), right)
        if self._parts is None:
            self._parts = np.linalg.eigh(self._gram[np.ix_(at, at)])
        values, vectors = self._parts
        bend = values + ridge
        if not bend[0] > _SINGULAR * bend[-1]:
            return None
        solution: Floats = vectors @ ((vectors.T @ right) / bend)
        return solution


def _direct(matrix: Floats, right: Floats) -> Floats | None:
    try:
        solution: Floats = np.linalg.solve(matrix, right).astype(np.float64)
    except np.linalg.LinAlgError:
        return None
    left = np.abs(matrix @ solution - right).max(initial=0.0)
    return solution if left <= _LEFT * np.abs(right).max(initial=0.0) else None


class Problem:
    """A matrix and a line of products, to be solved for many strengths and mixes."""

    def __init__(self, gram: Floats, cross: Floats) -> None:
        self.gram, self.cross = gram, cross
        self.systems = Systems(gram)

    def descend(self, strength: float, mix: float, start: Floats, *, tolerance: float, sweeps: int) -> Descent:
        """From ``start``. One sweep over all coordinates finds the ones that move; then only these, until they rest.

        ``tolerance`` is about the largest step of a sweep, relative to the largest coordinate.
        """
        run = _Run(self, strength, mix, start.copy())
        everything = np.flatnonzero(run.bend > 0)
        used = 0
        if self.systems.knows(np.flatnonzero(start)) and run.solve() and run.rests(tolerance):
            return Descent(run.b, used, settled=True)
        while used < sweeps:
            used += 1
            if run.sweep(run.movable(everything)) <= tolerance * _size(run.b):
                return Descent(run.b, used, settled=True)
            active = everything[run.b[everything] != 0]
            for turn in range(sweeps - used):
                used += 1
                if run.sweep(active) <= tolerance * _size(run.b):
                    break
                if turn % _PATIENCE == _PATIENCE - 1 and run.solve():
                    if run.rests(tolerance):
                        return Descent(run.b, used, settled=True)
                    break
        return Descent(run.b, used, settled=False)


class _Run:
    def __init__(self, problem: Problem, strength: float, mix: float, b: Floats) -> None:
        self.problem, self.b = problem, b
        self.flat, self.ridge = strength * mix, strength * (1.0 - mix)
        self.bend = np.diagonal(problem.gram) + self.ridge
        self.slope = problem.cross - problem.gram @ b  # kept up to date: one column of the matrix a step

    def movable(self, at: Places) -> Places:
        """Those of ``at`` that are not at rest in zero."""
        moves: Places = at[(self.b[at] != 0) | (np.abs(self.slope[at]) > self.flat)]
        return moves

    def sweep(self, at: Places) -> float:
        """One step along each coordinate ``at``; the length of the largest."""
        gram, slope, b, flat, bend = self.problem.gram, self.slope, self.b, self.flat, self.bend
        largest = 0.0
        for j in at.tolist():
            old = b[j]
            pull = slope[j] + gram[j, j] * old
            if not old and abs(pull) <= flat:
                continue
            new = (pull - flat if pull > 0 else pull + flat) / bend[j] if abs(pull) > flat else 0.0
            step = new - old
            if step:
                slope -= gram[j] * step
                b[j] = new
                largest = max(largest, abs(step))
        return largest

    def solve(self) -> bool:
        """Go to where the coordinates in use rest, dropping those that become zero on the way; whether it got there."""
        for _ in range(_DROPS):
            at = np.flatnonzero(self.b)
            if not len(at):
                return False
            here = self.b[at]
            there = self.problem.systems.solved(at, self.problem.cross[at] - self.flat * np.sign(here), self.ridge)
            if there is None or not np.isfinite(there).all():
                return False
            crossing = here * there <= 0
            if not crossing.any():
                self._move(at, there)
                return True
            share = here[crossing] / (here[crossing] - there[crossing])
            reached = here + share.min() * (there - here)
            reached[np.flatnonzero(crossing)[share.argmin()]] = 0.0
            self._move(at, reached)
        return False

    def rests(self, tolerance: float) -> bool:
        """Whether no coordinate would move by more than the tolerance."""
        flat = self.flat * np.sign(self.b)
        pull = np.where(self.b != 0, np.abs(self.slope - self.ridge * self.b - flat), np.abs(self.slope) - self.flat)
        steps = pull[self.bend > 0] / self.bend[self.bend > 0]
        return bool(steps.max(initial=0.0) <= tolerance * _size(self.b))

    def _move(self, at: Places, values: Floats) -> None:
        self.b[at] = values
        self.slope = self.problem.cross - self.problem.gram[:, at] @ values


def _size(b: Floats) -> float:
    return float(np.abs(b).max()) or 1.0
