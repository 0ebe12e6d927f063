"""Coordinate descent for the elastic net on moments. Source: Friedman, Hastie, Tibshirani, J. Stat. Software 33 (2010).

Minimises b'Gb/2 - c'b + strength * (mix * sum(abs(b)) + (1 - mix)/2 * b'b), where G and c are sums of products over n.
"""

from dataclasses import dataclass

import numpy as np

from foedus.core.statistics.moments import Floats, Places


@dataclass(frozen=True, slots=True, eq=False)
class Descent:
    """``b`` (k,) and after how many sweeps; ``settled`` says whether the last one moved it less than the tolerance."""

    b: Floats
    sweeps: int
    settled: bool


def descend(
    gram: Floats, cross: Floats, strength: float, mix: float, start: Floats, *, tolerance: float, sweeps: int
) -> Descent:
    """From ``start``. One sweep over all coordinates finds the ones that move; then only these, until they rest.

    ``tolerance`` is about the largest step of a sweep, relative to the largest coordinate.
    """
    b = start.copy()
    slope = cross - gram @ b  # kept up to date: one column of the matrix a step
    flat, bend = strength * mix, np.diagonal(gram) + strength * (1.0 - mix)
    everything = np.flatnonzero(bend > 0)
    used = 0
    while used < sweeps:
        used += 1
        moved = _sweep(gram, slope, b, everything, flat, bend)
        if moved <= tolerance * _size(b):
            return Descent(b, used, settled=True)
        active = everything[b[everything] != 0]
        while used < sweeps:
            used += 1
            if _sweep(gram, slope, b, active, flat, bend) <= tolerance * _size(b):
                break
    return Descent(b, used, settled=False)


def _size(b: Floats) -> float:
    return float(np.abs(b).max()) or 1.0


def _sweep(gram: Floats, slope: Floats, b: Floats, at: Places, flat: float, bend: Floats) -> float:
    """One step along each coordinate ``at``; the length of the largest."""
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
