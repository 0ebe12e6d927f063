"""Densities, and whether two samples have one distribution: from sketches, exact for binary columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from foedus.core.distributions import kolmogorov_upper
from foedus.core.errors import Invalid
from foedus.core.exploration.bivariate import keeps, part_of
from foedus.core.exploration.conditional import conditional_bins
from foedus.core.exploration.query import Answer, Query, columns_of
from foedus.core.statistics import Statistics, View
from foedus.core.statistics.moments import Floats

MAX_BINS = 10_000


@dataclass(frozen=True, slots=True)
class Density:
    """How many values are in each of equal bins from ``least`` to ``most``; not whole where a sketch's bin is cut."""

    column: str
    least: float
    most: float
    counts: tuple[float, ...]

    @property
    def width(self) -> float:
        return (self.most - self.least) / len(self.counts)


def densities(statistics: Statistics, names: Sequence[str], query: Query) -> list[Density]:
    """Options: ``hist_bins``, and ``hist_min`` and ``hist_max``, by default the least and greatest value."""
    columns = columns_of(statistics, tuple(names))
    view = statistics.view(columns)
    return [_density(view, k, column, query) for k, column in enumerate(columns)]


def conditional_density(statistics: Statistics, column: str, condition: str, query: Query) -> Density:
    """The density where a binary column is 1; it is called ``column|condition``.

    From a part of the plan if that is kept, exact as the column's own; otherwise as ``conditional_bins`` has it. The
    binary column may come first. Raises Invalid when neither is binary, or without a sketch.
    """
    names = column, condition
    view = statistics.view(names)
    if view.binary[0] and not view.binary[1]:
        names = condition, column
        view = statistics.view(names)
    name = "|".join(names)
    if keeps(statistics, names[1]):
        return _density(statistics.view(names[:1], part=part_of(statistics, names[1])), 0, name, query)
    if view.binary[0]:
        group = view.where(0, 1)
        return _of_binary(name, group.n, group.mean, *_edges(view, 0, name, query))
    bins = conditional_bins(view)
    least, most, edges = _edges(view, 0, name, query)
    below = bins.below(edges)
    below[[0, -1]] = (0.0 if least <= view.least[0] else below[0]), (bins.total if most >= view.most[0] else below[-1])
    return Density(name, least, most, tuple(float(c) for c in np.diff(below)))


def _edges(view: View, k: int, name: str, query: Query) -> tuple[float, float, Floats]:
    bins = query.whole("hist_bins", None, 1, MAX_BINS)
    if not view.count[k]:
        raise Invalid(f"column {name!r} has no values", column=name)
    least = query.number("hist_min", float(view.least[k]))
    most = query.number("hist_max", float(view.most[k]))
    if least > most:
        raise Invalid(f"'hist_min' is above 'hist_max' for {name!r}", column=name)
    if least == most:
        most = least + 1.0
    return least, most, np.linspace(least, most, bins + 1)


def _density(view: View, k: int, name: str, query: Query) -> Density:
    least, most, edges = _edges(view, k, name, query)
    n = float(view.count[k])
    if view.binary[k]:
        return _of_binary(name, n, float(view.mean[k]), least, most, edges)
    below = view.sketch(k).below(edges)
    below[-1] = 1.0 if most >= view.most[k] else below[-1]  # the last bin has its right edge
    below[0] = 0.0 if least <= view.least[k] else below[0]
    return Density(name, least, most, tuple(float(c) for c in np.diff(below) * n))


def _of_binary(name: str, n: float, share: float, least: float, most: float, edges: Floats) -> Density:
    ones = float(np.rint(share * n)) if n else 0.0
    counts, _ = np.histogram([0.0, 1.0], edges, weights=[n - ones, ones])
    return Density(name, least, most, tuple(float(c) for c in counts))


def kolmogorov_smirnov(statistics: Statistics, query: Query) -> Answer:
    """Whether two continuous columns, or one where each of two binary ones is 1, have the same distribution.

    ``ks`` is the greatest distance of both distribution functions at the edges of their sketches' bins; ``ksp`` by
    Kolmogorov's limit with Stephens's correction for few values. Approximate: within the largest bin's share.
    """
    columns = columns_of(statistics, query.inputs)
    if len(columns) == 2:
        view = statistics.view(columns)
        a, b = view.sketch(0), view.sketch(1)
    elif len(columns) == 3:
        value = [columns[0]]
        a, b = (statistics.view(value, part=part_of(statistics, c)).sketch(0) for c in columns[1:])
    else:
        raise Invalid("this needs two columns, or one and two binary ones")
    distance = a.distance(b)
    size = sqrt(a.n * b.n / (a.n + b.n))
    return {"ks": distance, "ksp": kolmogorov_upper((size + 0.12 + 0.11 / size) * distance), "n1": a.n, "n2": b.n}
