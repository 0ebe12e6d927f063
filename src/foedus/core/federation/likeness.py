"""Whether rows that come are like those that were there: three tests for each attribute, at 95 %.

Whoever has two of a node's statistics can subtract them. When what is left could as well be a sample of what was known
before, it tells little that was not known. The tests are Welch's of equal means, with variances over n; Kolmogorov
and Smirnov's of equal distributions; and one of the area between both distribution functions, which is the
difference of the means, over the geometric mean of both ranges.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import log, sqrt

from foedus.core.distributions import t_two_sided
from foedus.core.statistics import Kind, Schema, Sketch, Statistics

SIGNIFICANCE = 0.05
_SMIRNOV = sqrt(-log(SIGNIFICANCE / 2) / 2)  # 1.358
_ROUNDING = 1e-9  # of the greatest value: means that subtraction left apart are equal


@dataclass(frozen=True, slots=True)
class Sample:
    """Some values of a column. ``variance`` is over n; ``sketch`` is None of a binary one, or where none is kept."""

    n: int
    mean: float
    variance: float
    least: float
    most: float
    binary: bool
    sketch: Sketch | None

    @property
    def width(self) -> float:
        """The range; of a column's sketch, which may know it better after rows were taken away."""
        if self.sketch is None:
            return self.most - self.least
        low, high = self.sketch.edges
        return float(min(self.most, high[-1]) - max(self.least, low[0]))


@dataclass(frozen=True, slots=True)
class Finding:
    """Tests that an attribute fails: ``welch``, ``smirnov``, ``integral``; ``distribution`` if none is kept to test."""

    attribute: str
    tests: tuple[str, ...]


def unlike(before: Statistics, change: Statistics) -> tuple[Finding, ...]:
    """The attributes of which the rows of ``change`` differ from those ``before``. One that only one of both has is
    passed over: there is nothing to compare.
    """
    schema = before.schema.merged(change.schema)
    here, there = _samples(before, schema), _samples(change, schema)
    failed: dict[str, set[str]] = {}
    for column, owner in zip(schema.columns, schema.owners.tolist(), strict=True):
        if column in here and column in there:
            tests = failed_tests(here[column], there[column])
            failed.setdefault(schema.attributes[owner].name, set()).update(tests)
    return tuple(Finding(name, tuple(sorted(tests))) for name, tests in failed.items() if tests)


def failed_tests(a: Sample, b: Sample) -> Iterator[str]:
    """The names of the tests by which ``b`` is no sample of where ``a`` is from."""
    if not _same_mean(a, b):
        yield "welch"
    distance = _distance(a, b)
    if distance is None:
        yield "distribution"
    elif distance >= _SMIRNOV * sqrt((a.n + b.n) / (a.n * b.n)):
        yield "smirnov"
    if a.variance > 0 and b.variance > 0 and not _small_area(a, b):
        yield "integral"


def _same_mean(a: Sample, b: Sample) -> bool:
    gap = abs(a.mean - b.mean)
    if gap <= _ROUNDING * max(abs(a.least), abs(a.most)):
        return True
    if a.variance > 0 and b.variance > 0:
        of_a, of_b = a.variance / a.n, b.variance / b.n
        freedom = (of_a + of_b) ** 2 / (of_a**2 / (a.n - 1) + of_b**2 / (b.n - 1))
        return t_two_sided(gap / sqrt(of_a + of_b), freedom) >= SIGNIFICANCE
    varied = a if a.variance > 0 else b
    return varied.variance > 0 and t_two_sided(gap / sqrt(varied.variance / varied.n), varied.n) >= SIGNIFICANCE


def _distance(a: Sample, b: Sample) -> float | None:
    if a.binary:
        return abs(a.mean - b.mean)
    if a.sketch is None or b.sketch is None:
        return None
    return a.sketch.distance(b.sketch)


def _small_area(a: Sample, b: Sample) -> bool:
    widths = sqrt(a.width * b.width)
    limit = 0.2 if b.n <= 10 else 0.1 if b.n <= 25 else 0.05
    return abs(a.mean - b.mean) < limit * widths


def _samples(statistics: Statistics, schema: Schema) -> dict[str, Sample]:
    """The sample of each column that has values; of a level that did not occur where its category was known, zeros."""
    view = statistics.view()
    variances = view.variance()
    found = {
        column: Sample(
            int(view.count[k]),
            float(view.mean[k]),
            float(variances[k]),
            float(view.least[k]),
            float(view.most[k]),
            bool(view.binary[k]),
            view.sketch(k) if statistics.plan.sketches and not view.binary[k] else None,
        )
        for k, column in enumerate(view.columns)
        if view.count[k]
    }
    own = {a.name: a for a in statistics.schema.attributes if a.kind is Kind.CATEGORY}
    for attribute in schema.attributes:
        if attribute.name in own:
            known = found[own[attribute.name].columns[0]].n
            for column in attribute.columns:
                found.setdefault(column, Sample(known, 0.0, 0.0, 0.0, 0.0, binary=True, sketch=None))
    return found
