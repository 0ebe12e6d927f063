"""What is known of one set of rows: moments, extremes and, when the plan says so, sketches."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import starmap
from typing import Self

import numpy as np

from foedus.core.errors import Conflict
from foedus.core.statistics.alignment import ABSENT, Seat, regrouped, selected, together
from foedus.core.statistics.batch import Batch
from foedus.core.statistics.gather import gather
from foedus.core.statistics.moments import Flags, Floats, Moments, Places, merged, without
from foedus.core.statistics.products import Arithmetic
from foedus.core.statistics.schema import Kind, Schema
from foedus.core.statistics.sketch import Sketch

_SLACK = 1e-6  # of the spread before: what rounding may leave below zero after forgetting


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Summary:
    """``least``, ``most`` (c,) and ``sketches`` (c, or none) are of the columns that are not binary, in their order."""

    rows: int
    moments: Moments
    least: Floats
    most: Floats
    sketches: tuple[Sketch, ...]

    @classmethod
    def empty(cls, *, products: bool = False) -> Self:
        nothing = np.zeros(0)
        return cls(rows=0, moments=Moments.empty(products=products), least=nothing, most=nothing, sketches=())

    def bits(self) -> tuple[object, ...]:
        """Everything in it, for comparison."""
        arrays = [array.tobytes() for array in (*self.moments.arrays(), self.least, self.most)]
        return self.rows, self.moments.products, arrays, [sketch.bits() for sketch in self.sketches]


def summarised(batch: Batch, *, products: bool, sketches: bool, threads: int, on: Arithmetic) -> Summary:
    """The summary of a batch, over the columns of its schema."""
    found = gather(batch, products=products, sketches=sketches, threads=threads, on=on)
    return Summary(
        rows=batch.rows,
        moments=selected(found.moments, batch.places),
        least=found.least,
        most=found.most,
        sketches=found.sketches,
    )


def pooled(a: Summary, of_a: Schema, b: Summary, of_b: Schema, schema: Schema, *, sketches: bool) -> Summary:
    """The summary of the rows of both, over the columns of ``schema``. ``sketches``: whether they are kept."""
    moments = merged(*_aligned(a, of_a, b, of_b, schema))
    seats_a, seats_b = _numeric_seats(of_a, schema), _numeric_seats(of_b, schema)
    return Summary(
        rows=a.rows + b.rows,
        moments=moments,
        least=np.minimum(_spread_out(a.least, seats_a, np.inf), _spread_out(b.least, seats_b, np.inf)),
        most=np.maximum(_spread_out(a.most, seats_a, -np.inf), _spread_out(b.most, seats_b, -np.inf)),
        sketches=tuple(starmap(Sketch.merged, _sketch_pairs(a, seats_a, b, seats_b))) if sketches else (),
    )


def reduced(a: Summary, of_a: Schema, b: Summary, of_b: Schema) -> Summary:
    """``a`` without the rows of ``b``, over the columns of ``a``. Raises Conflict when these cannot have been in it.

    The least and greatest values stay as they are while a column has values: what lay between them is not known.
    """
    x, y = _aligned(a, of_a, b, of_b, of_a)
    if a.rows < b.rows or (x.counts < y.counts).any() or (x.ones() < y.ones()).any():
        raise Conflict("these rows cannot be forgotten: there would be fewer than none of them left")
    moments = without(x, y)
    if (x.spread * (1 + _SLACK) < y.spread).any():
        raise Conflict("these rows cannot be forgotten: they vary more than all that was learned")
    seats = _numeric_seats(of_b, of_a)
    left = moments.count()[moments.numeric] > 0
    return Summary(
        rows=a.rows - b.rows,
        moments=regrouped(moments),
        least=np.where(left, a.least, np.inf),
        most=np.where(left, a.most, -np.inf),
        sketches=tuple(starmap(Sketch.without, _sketch_pairs(a, np.arange(len(left)), b, seats))) if a.sketches else (),
    )


def restricted(summary: Summary, columns: Places, binary: Flags) -> Summary:
    """The summary over some of its columns; ``binary`` is of all."""
    kept = (np.cumsum(~binary) - 1)[columns[~binary[columns]]]
    return replace(
        summary,
        moments=regrouped(selected(summary.moments, columns)),
        least=summary.least[kept],
        most=summary.most[kept],
        sketches=tuple(summary.sketches[k] for k in kept) if summary.sketches else (),
    )


def _aligned(a: Summary, of_a: Schema, b: Summary, of_b: Schema, schema: Schema) -> tuple[Moments, Moments]:
    return together(
        a.moments, b.moments, seat_of(a.moments, of_a, schema), seat_of(b.moments, of_b, schema), schema.binary
    )


def seat_of(m: Moments, own: Schema, schema: Schema) -> Seat:
    """Where the columns of ``schema`` are in ``m``. A level that it does not have is 0 wherever its category is
    known.
    """
    groups = np.where(np.diagonal(m.counts) > 0, np.arange(len(m.counts)), ABSENT)[m.groups]
    if own == schema:
        return Seat(np.arange(len(m.groups)), groups)
    places = np.array([own.find(column) for column in schema.columns], dtype=np.intp)
    labels = np.where(places >= 0, np.append(groups, ABSENT)[places], ABSENT)
    known = {a.name: own.place(a.columns[0]) for a in own.attributes if a.kind is Kind.CATEGORY}
    for k in np.flatnonzero(places < 0):
        attribute = schema.attributes[schema.owners[k]]
        if attribute.kind is Kind.CATEGORY and attribute.name in known:
            labels[k] = groups[known[attribute.name]]
    return Seat(places, labels)


def _numeric_seats(own: Schema, schema: Schema) -> Places:
    """For each column of ``schema`` that is not binary its rank among those of ``own``, or ABSENT."""
    ranks = {c: k for k, c in enumerate(c for c, flag in zip(own.columns, own.binary, strict=True) if not flag)}
    wanted = (c for c, flag in zip(schema.columns, schema.binary, strict=True) if not flag)
    return np.array([ranks.get(c, ABSENT) for c in wanted], dtype=np.intp)


def _spread_out(values: Floats, seats: Places, nothing: float) -> Floats:
    return np.append(values, nothing)[seats]


def _sketch_pairs(a: Summary, seats_a: Places, b: Summary, seats_b: Places) -> Iterator[tuple[Sketch, Sketch]]:
    nothing = Sketch.empty()
    for in_a, in_b in zip(seats_a, seats_b, strict=True):
        yield a.sketches[in_a] if in_a != ABSENT else nothing, b.sketches[in_b] if in_b != ABSENT else nothing
