"""The two samples that a test compares: two columns, or one column where each of two binary ones is 1."""

from dataclasses import dataclass
from math import nan, sqrt

from foedus.core.errors import Invalid
from foedus.core.exploration.query import Query, view_of
from foedus.core.statistics import Statistics


@dataclass(frozen=True, slots=True)
class Sample:
    """``variance`` is over n - ``ddof`` of whoever made it; NaN if there are too few values."""

    n: int
    mean: float
    variance: float

    @property
    def deviation(self) -> float:
        return sqrt(self.variance) if self.variance >= 0 else nan


def one_sample(statistics: Statistics, query: Query, ddof: int) -> Sample:
    view = view_of(statistics, query.inputs, 1, 1)
    return _enough(Sample(int(view.count[0]), float(view.mean[0]), float(view.variance(ddof)[0])), query.inputs[0])


def two_samples(statistics: Statistics, query: Query, ddof: int) -> tuple[Sample, Sample]:
    """Of inputs, or of one input and two binary targets. Raises Invalid when a sample has fewer than two values."""
    view = view_of(statistics, (*query.inputs, *query.targets), 2, 3)
    if len(view.columns) == 3:
        groups = [view.where(0, j) for j in (1, 2)]
        found = [Sample(g.n, g.mean, g.spread / (g.n - ddof) if g.n > ddof else nan) for g in groups]
    else:
        variance = view.variance(ddof)
        found = [Sample(int(view.count[k]), float(view.mean[k]), float(variance[k])) for k in (0, 1)]
    first, second = (_enough(sample, name) for sample, name in zip(found, view.columns[-2:], strict=True))
    return first, second


def _enough(sample: Sample, name: str) -> Sample:
    if sample.n < 2:
        raise Invalid(f"a test needs two values or more, {name!r} gives {sample.n}", column=name)
    return sample
