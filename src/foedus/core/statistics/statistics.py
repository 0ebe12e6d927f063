"""The value that a project keeps instead of rows. See the package for how to use it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial, reduce
from types import MappingProxyType
from typing import Self

import numpy as np

from foedus.core.errors import Conflict, NotFound
from foedus.core.statistics.alignment import selected
from foedus.core.statistics.batch import Batch
from foedus.core.statistics.distinct import Patients
from foedus.core.statistics.moments import Places
from foedus.core.statistics.plausible import check_plausible
from foedus.core.statistics.products import PROCESSOR, Arithmetic
from foedus.core.statistics.schema import Attribute, Kind, Schema
from foedus.core.statistics.summary import Summary, pooled, reduced, restricted, summarised
from foedus.core.statistics.view import View, view_of

Level = tuple[str, str]  # a target and one of its levels; "0" and "1" for a binary target


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is kept beyond the usual. Statistics merge only when their plans are equal.

    ``targets``: binary attributes and categories for each level of which all moments are kept as well (class-wise
    covariances). ``products``: sums of squared products of continuous attributes. ``sketches``: the distribution of
    each continuous attribute (quantiles, densities), also for each level of a target.
    """

    targets: tuple[str, ...] = ()
    products: bool = False
    sketches: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "targets", tuple(sorted(set(self.targets))))


@dataclass(frozen=True, eq=False)
class Statistics:
    """Immutable. ``total`` is about all rows, ``parts`` about those where a target of the plan has one level; all are
    over the columns of ``schema``. Equal statistics are equal to the bit.
    """

    plan: Plan = field(default_factory=Plan)
    schema: Schema = field(default_factory=Schema)
    total: Summary = field(default_factory=Summary.empty)
    parts: Mapping[Level, Summary] = field(default_factory=dict)
    patients: Patients | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", MappingProxyType(dict(sorted(self.parts.items()))))

    @classmethod
    def empty(cls, plan: Plan | None = None) -> Self:
        """Of no rows: the identity of ``merge`` among statistics of the same plan."""
        plan = plan or Plan()
        return cls(plan, total=Summary.empty(products=plan.products))

    @classmethod
    def of(
        cls, batch: Batch, plan: Plan | None = None, *, patients: Patients | None = None, threads: int = 1,
        on: Arithmetic = PROCESSOR,
    ) -> "Statistics":  # fmt: skip
        """The statistics of some rows, with sums of products computed ``on`` the processor or a device. Raises Invalid
        for values that are none, Conflict for a target of the wrong kind.
        """
        plan = plan or Plan()
        summary_of = partial(summarised, products=plan.products, sketches=plan.sketches, threads=threads, on=on)
        parts = {
            (target, level): summary_of(batch.where(rows))
            for target in plan.targets
            for level, rows in batch.levels(target)
        }
        total = summary_of(batch)
        return pruned(cls(plan, batch.schema, total, parts, patients))

    @property
    def rows(self) -> int:
        """How many rows were learned, also those of which every value was missing."""
        return self.total.rows

    @property
    def columns(self) -> tuple[str, ...]:
        """One for each attribute, but for categories one for each level: ``attribute$level``."""
        return self.schema.columns

    def view(self, columns: Sequence[str] | None = None, *, part: Level | None = None) -> View:
        """The numbers of some columns in this order (default: all), of all rows or of those where a target has a level.

        Raises NotFound for a column or part that is not there.
        """
        summary = self.total if part is None else self.parts.get(part)
        if summary is None:
            raise NotFound(f"no statistics are kept of the rows where {part[0]!r} is {part[1]!r}" if part else "")
        columns = self.columns if columns is None else columns
        places = np.array([self.schema.place(column) for column in columns], dtype=np.intp)
        return view_of(summary, self.columns, columns, selected(summary.moments, places))

    def merge(self, other: "Statistics") -> "Statistics":
        """The statistics of the rows of both. ``a.merge(b)`` and ``b.merge(a)`` are the same bits.

        Raises Conflict when plans, kinds of attributes or the keys of patients differ.
        """
        self._check_plan(other)
        a, b = sorted((self, other), key=_rank)
        schema = self.schema.merged(other.schema)
        nothing = Statistics.empty(self.plan)
        parts = {}
        for level in {**a.parts, **b.parts}:
            x, y = (s if level in s.parts else nothing for s in (a, b))
            mine, theirs = x.parts.get(level, x.total), y.parts.get(level, y.total)
            parts[level] = pooled(mine, x.schema, theirs, y.schema, schema, sketches=self.plan.sketches)
        total = pooled(a.total, a.schema, b.total, b.schema, schema, sketches=self.plan.sketches)
        counted = [s.patients for s in (a, b) if s.patients is not None]
        return Statistics(self.plan, schema, total, parts, reduce(Patients.merged, counted) if counted else None)

    def forget(self, other: "Statistics") -> "Statistics":
        """The statistics without the rows of ``other``, all of which must have been learned.

        Raises Conflict where that cannot have been: a count would be negative, a value was never seen.
        """
        self._check_plan(other)
        foreign = [a.name for a in other.schema.attributes if not self.schema.covers(a)]
        if foreign or not other.parts.keys() <= self.parts.keys():
            raise Conflict(
                "these rows cannot be forgotten: attributes or levels of theirs were never learned", names=foreign
            )
        parts = {
            level: reduced(part, self.schema, other.parts[level], other.schema) if level in other.parts else part
            for level, part in self.parts.items()
        }
        total = reduced(self.total, self.schema, other.total, other.schema)
        patients = self.patients
        if other.patients is not None:
            if patients is None:
                raise Conflict("these rows cannot be forgotten: no patients were counted")
            patients = patients.without(other.patients)
        left = pruned(Statistics(self.plan, self.schema, total, parts, patients))
        check_plausible(self.view(), other.view(), left.view())
        return left

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Statistics) and _bits(self) == _bits(other)

    def __hash__(self) -> int:
        return hash((self.plan, self.schema.fingerprint, self.rows))

    def _check_plan(self, other: "Statistics") -> None:
        if self.plan != other.plan:
            raise Conflict(
                "statistics that keep different things do not merge", here=repr(self.plan), there=repr(other.plan)
            )


def merge_all(parts: Iterable[Statistics], plan: Plan | None = None) -> Statistics:
    """All merged in an order of their own, so that whoever has the same parts gets the same bits, in whatever order
    they came.
    """
    ordered = sorted(parts, key=_rank)
    return reduce(Statistics.merge, ordered) if ordered else Statistics.empty(plan)


class _rank:  # noqa: N801  # a sort key, used like a function
    """Orders statistics by rows, and by their bits when these are equal."""

    def __init__(self, statistics: Statistics) -> None:
        self._of = statistics

    def __lt__(self, other: "_rank") -> bool:
        if self._of.rows != other._of.rows:
            return self._of.rows > other._of.rows
        return _bits(self._of) < _bits(other._of)


def _bits(s: Statistics) -> tuple[object, ...]:
    """All that ``s`` is, for comparison."""
    summaries = [("", ""), *s.parts], [s.total, *s.parts.values()]
    named = [(a.name, a.kind.value, a.levels) for a in s.schema.attributes]
    counted = s.patients.bits() if s.patients is not None else ()
    return (
        s.plan.targets,
        s.plan.products,
        s.plan.sketches,
        named,
        summaries[0],
        [x.bits() for x in summaries[1]],
        counted,
    )


def pruned(s: Statistics) -> Statistics:
    """``s`` without what was never observed: attributes without a value, levels without a row, patients nobody
    names.
    """
    m = s.total.moments
    ones = m.ones()[np.arange(len(m.groups)), m.groups] if len(m.groups) else np.zeros(0)
    count = m.count() if len(m.groups) else np.zeros(0, np.int64)
    of_category = np.array([s.schema.attributes[k].kind is Kind.CATEGORY for k in s.schema.owners], dtype=bool)
    keep: Places = np.flatnonzero((count > 0) & (~of_category | (ones > 0)))
    parts = {level: part for level, part in s.parts.items() if part.rows}
    patients = s.patients if s.patients is not None and (len(s.patients.hashes) or not s.patients.exact) else None
    if len(keep) == len(m.groups):
        return replace(s, parts=parts, patients=patients)
    kept = {s.schema.columns[k] for k in keep}
    attributes = []
    for a in s.schema.attributes:
        levels = tuple(level for level, column in zip(a.levels, a.columns, strict=False) if column in kept)
        if levels or a.name in kept:
            attributes.append(Attribute(a.name, a.kind, levels))
    return Statistics(
        s.plan,
        Schema.of(attributes),
        restricted(s.total, keep, s.schema.binary),
        {level: restricted(part, keep, s.schema.binary) for level, part in parts.items()},
        patients,
    )
