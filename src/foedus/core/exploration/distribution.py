"""Densities, and whether two samples have one distribution: from sketches, exact for binary columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from foedus.core.distributions import kolmogorov_upper
from foedus.core.errors import Invalid
from foedus.core.exploration.bivariate import part_of
from foedus.core.exploration.query import Answer, Query, columns_of
from foedus.core.statistics import Statistics, View

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
    """The density where a binary column is 1, from a part of the plan; it is called ``column|condition``.

    Raises Invalid when that part is not kept.
    """
    view = statistics.view([column], part=part_of(statistics, condition))
    return _density(view, 0, f"{column}|{condition}", query)


def _density(view: View, k: int, name: str, query: Query) -> Density:
    bins = query.whole("hist_bins", None, 1, MAX_BINS)
    n = float(view.count[k])
    if not n:
        raise Invalid(f"column {name!r} has no values", column=name)
    least = query.number("hist_min", float(view.least[k]))
    most = query.number("hist_max", float(view.most[k]))
    if least > most:
        raise Invalid(f"'hist_min' is above 'hist_max' for {name!r}", column=name)
    if least == most:
        most = least + 1.0
    edges = np.linspace(least, most, bins + 1)
    if view.binary[k]:
        ones = float(np.rint(view.mean[k] * n))
        counts, _ = np.histogram([0.0, 1.0], edges, weights=[n - ones, ones])
        return Density(name, least, most, tuple(float(c) for c in counts))
    below = view.sketch(k).below(edges)
    below[-1] = 1.0 if most >= view.most[k] else below[-1]  # the last bin has its right edge
    below[0] = 0.0 if least <= view.least[k] else below[0]
    return Density(name, least, most, tuple(float(c) for c in np.diff(below) * n))


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
