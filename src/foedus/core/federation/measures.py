"""What rules of a contract may ask of statistics: every function is exact, and computed from what is kept.

Variances are divided by n, those called unbiased by n - 1. ``COND_`` functions are about the first attribute where the
second, a binary one, is 1; with ``COMPL_`` before them, where it is 0.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import nan, sqrt
from typing import Protocol

from foedus.core.errors import Invalid, NotFound
from foedus.core.statistics import Group, Kind, Schema, Statistics, View


class Complaint(Protocol):
    """Makes the error for an argument of a measure (None: for the measure itself)."""

    def __call__(self, argument: int | None, complaint: str) -> Invalid: ...


@dataclass(frozen=True, slots=True)
class Measure:
    """``value`` of a view of its attributes, in their order. ``binary`` tells which of them must be binary."""

    arguments: int
    value: Callable[[View], float]
    binary: tuple[int, ...] = ()


def _unbiased(group: Group) -> float:
    return group.spread / (group.n - 1) if group.n > 1 else nan


def _root(value: float) -> float:
    return sqrt(value) if value >= 0 else nan


def _ones(group: Group) -> float:
    return float(round(group.n * group.mean)) if group.n else 0.0


_OF_GROUPS: Mapping[str, Callable[[Group], float]] = {
    "COUNT": lambda group: float(group.n),
    "MEAN": lambda group: group.mean,
    "STDDEV": lambda group: _root(group.variance),
    "VARIANCE": lambda group: group.variance,
    "STDDEV_UNBIASED": lambda group: _root(_unbiased(group)),
    "VARIANCE_UNBIASED": _unbiased,
}


def _whole(view: View) -> Group:
    return Group(int(view.count[0]), float(view.mean[0]), float(view.comoment[0, 0]) if view.count[0] else nan)


def _alone(value: Callable[[Group], float]) -> Measure:
    return Measure(1, lambda view: value(_whole(view)))


def _given(value: Callable[[Group], float], level: int, *, both_binary: bool = False) -> Measure:
    return Measure(2, lambda view: value(view.where(0, 1, level)), (0, 1) if both_binary else (1,))


MEASURES: Mapping[str, Measure] = {
    **{name: _alone(value) for name, value in _OF_GROUPS.items()},
    "COVAR": Measure(2, lambda view: float(view.covariance()[0, 1])),
    "LINCORR": Measure(2, lambda view: float(view.correlation()[0, 1])),
    **{f"COND_{name}": _given(value, 1) for name, value in _OF_GROUPS.items()},
    **{f"COMPL_COND_{name}": _given(value, 0) for name, value in _OF_GROUPS.items()},
    "MEAN_WHEN_TRUE": _given(lambda group: group.mean, 1),
    "MEAN_WHEN_FALSE": _given(lambda group: group.mean, 0),
    "PCT_OF_TRUE": _given(lambda group: 100 * group.mean, 1, both_binary=True),
    "PCT_OF_FALSE": _given(lambda group: 100 * group.mean, 0, both_binary=True),
    "NUM_OCCURENCE_WHEN_TRUE": _given(_ones, 1, both_binary=True),
    "NUM_OCCURENCE_WHEN_FALSE": _given(_ones, 0, both_binary=True),
}


def check_measure(function: str, names: tuple[str, ...], schema: Schema, complaint: Complaint) -> None:
    """Raise what ``complaint`` makes of the first attribute that is not there or not of the kind that is needed."""
    measure = MEASURES[function]
    binary = _binary_columns(schema)
    for i, name in enumerate(names):
        if name not in schema.columns:
            raise complaint(i, f"there is no attribute {name!r}")
        if i in measure.binary and name not in binary:
            raise complaint(i, f"{function} needs a binary attribute here, which {name!r} is not")


def measured(function: str, names: tuple[str, ...], statistics: Statistics) -> float:
    """The measure; NaN where it is undefined, also because an attribute is not there or not binary."""
    try:
        return MEASURES[function].value(statistics.view(names))
    except (Invalid, NotFound):
        return nan


def _binary_columns(schema: Schema) -> frozenset[str]:
    kinds = (Kind.BINARY, Kind.CATEGORY)
    return frozenset(column for a in schema.attributes if a.kind in kinds for column in a.columns)
