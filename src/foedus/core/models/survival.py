"""Kaplan and Meier's estimate of survival from event tables, which add up. Source: J. Am. Stat. Assoc. 53 (1958).

Exact: the table of the rows of two sites is the sum of their tables. Intervals are those of log(-log S), after
Kalbfleisch and Prentice (1980), which stay between 0 and 1; Greenwood's formula gives the variance.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from foedus.core.distributions import normal_quantile
from foedus.core.errors import Conflict, Invalid, TooLarge
from foedus.core.statistics.moments import Floats

MAX_TIMES = 1_000_000  # of all groups together


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Events:
    """How many died and how many were lost at each time of each group; times ascend."""

    groups: tuple[str, ...] = ()
    times: tuple[Floats, ...] = ()
    died: tuple[Floats, ...] = ()
    lost: tuple[Floats, ...] = ()

    def __post_init__(self) -> None:
        if not len(self.groups) == len(self.times) == len(self.died) == len(self.lost):
            raise Invalid("an event table has times, deaths and losses for each group")
        if sum(map(len, self.times)) > MAX_TIMES:
            raise TooLarge(f"an event table has at most {MAX_TIMES} times; round them to days or weeks")
        if list(self.groups) != sorted(set(self.groups)):
            raise Invalid("the groups of an event table ascend and differ")
        for t, d, c in zip(self.times, self.died, self.lost, strict=True):
            if t.ndim != 1 or t.shape != d.shape or t.shape != c.shape or (np.diff(t) <= 0).any():
                raise Invalid("the times of an event table ascend, each with how many died and were lost")
            if (np.minimum(d, c) < 0).any() or (d != np.rint(d)).any() or (c != np.rint(c)).any():
                raise Invalid("an event table counts in whole numbers")

    @classmethod
    def of(cls, times: Floats, event: Floats, groups: Sequence[str] | None = None) -> Self:
        """Of rows: a time, whether it is of a death (1) or a loss (0), and a group. Raises Invalid."""
        times, event = np.asarray(times, np.float64), np.asarray(event, np.float64)
        labels = np.asarray(groups if groups is not None else [""] * len(times), dtype=np.str_)
        if not times.shape == event.shape == labels.shape or times.ndim != 1:
            raise Invalid("times, events and groups are lines of equal length")
        if not np.isfinite(times).all() or (times < 0).any() or not np.isin(event, (0, 1)).all():
            raise Invalid("times are not negative, events are 0 or 1")
        found = [(str(g), labels == g) for g in np.unique(labels)]
        tables = [_table(times[rows], event[rows], 1 - event[rows]) for _, rows in found]
        return cls(groups=tuple(g for g, _ in found), **_columns(tables))

    def merge(self, other: "Events") -> "Events":
        return self._combined(other, 1.0)

    def forget(self, other: "Events") -> "Events":
        """Raises Conflict when more would leave than are there."""
        try:
            return self._combined(other, -1.0)
        except Invalid as exc:
            raise Conflict("these rows cannot be forgotten: they were never learned") from exc

    def _combined(self, other: "Events", sign: float) -> "Events":
        groups, tables = [], []
        for group in sorted({*self.groups, *other.groups}):
            mine, theirs = self.table(group), other.table(group)
            both = [np.concatenate([mine[0], theirs[0]])]
            both += [np.concatenate([mine[k], sign * theirs[k]]) for k in (1, 2)]
            table = _table(*both)
            if len(table[0]):
                groups.append(group)
                tables.append(table)
        return Events(groups=tuple(groups), **_columns(tables))

    def table(self, group: str) -> tuple[Floats, Floats, Floats]:
        """Times, deaths and losses; empty for a group that is not there."""
        if group not in self.groups:
            return (np.zeros(0),) * 3
        k = self.groups.index(group)
        return self.times[k], self.died[k], self.lost[k]


def _table(times: Floats, died: Floats, lost: Floats) -> tuple[Floats, Floats, Floats]:
    found, place = np.unique(times, return_inverse=True)
    d, c = (np.bincount(place, weights, minlength=len(found)).astype(np.float64) for weights in (died, lost))
    some = (d != 0) | (c != 0)
    return found[some], d[some], c[some]


def _columns(tables: list[tuple[Floats, Floats, Floats]]) -> dict[str, tuple[Floats, ...]]:
    return {name: tuple(table[k] for table in tables) for k, name in enumerate(("times", "died", "lost"))}


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Curve:
    """Of one group, at each time when somebody died."""

    group: str
    times: Floats
    survival: Floats
    low: Floats
    high: Floats
    at_risk: Floats


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Survival:
    curves: tuple[Curve, ...]

    def __post_init__(self) -> None:
        for curve in self.curves:
            columns = (curve.times, curve.survival, curve.low, curve.high, curve.at_risk)
            if any(column.shape != (len(curve.times),) for column in columns):
                raise Invalid("a survival curve has a value for each time")

    def at(self, group: str, time: float) -> float:
        """The probability to survive a time. Raises Invalid for an unknown group."""
        for curve in self.curves:
            if curve.group == group:
                place = int(np.searchsorted(curve.times, time, side="right"))
                return float(curve.survival[place - 1]) if place else 1.0
        raise Invalid(f"there is no survival curve of group {group!r}", group=group)


@dataclass(frozen=True, slots=True, kw_only=True)
class KaplanMeier:
    """S(t) is the product of 1 - deaths/at risk up to t, with intervals of confidence 1 - ``alpha``.

    Raises Invalid for a table without rows.
    """

    alpha: float = 0.05
    summary: ClassVar[str] = "km"
    fitted: ClassVar[type] = Survival

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise Invalid("alpha is between 0 and 1")

    def fit(self, events: Events) -> Survival:
        if not events.groups:
            raise Invalid("there are no events to estimate survival from")
        return Survival(curves=tuple(self._curve(group, *events.table(group)) for group in events.groups))

    def _curve(self, group: str, times: Floats, died: Floats, lost: Floats) -> Curve:
        leaving = died + lost
        at_risk = leaving[::-1].cumsum()[::-1]
        some = died > 0
        d, n = died[some], at_risk[some]
        survival = np.cumprod(1.0 - d / n)
        with np.errstate(divide="ignore", invalid="ignore"):
            error = np.sqrt(np.cumsum(d / (n * (n - d)))) / np.abs(np.log(survival))
            margin = np.exp(normal_quantile(1 - self.alpha / 2) * error)
            low, high = survival**margin, survival ** (1 / margin)
        certain = (survival <= 0) | ~np.isfinite(margin)
        low, high = np.where(certain, 0.0, low), np.where(certain, survival, high)
        return Curve(group=group, times=times[some], survival=survival, low=low, high=high, at_risk=n)
