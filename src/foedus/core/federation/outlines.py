"""What nodes tell each other before a secure sum, so that what they add means the same: outlines, and a frame of all.

An outline has the names and kinds of attributes, levels of categories, which columns are observed together, and
coarsely how many rows there are and between which numbers values lie. Of the numbers a frame takes the range, which
becomes -1 to 1, so that no sum of powers is more than the number of rows.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from math import ceil, floor, frexp, ldexp

import numpy as np

from foedus.core.errors import Conflict, Invalid
from foedus.core.statistics import Plan, Schema, Statistics
from foedus.core.statistics.alignment import numbered
from foedus.core.statistics.moments import Floats, Places
from foedus.core.statistics.sums import MAX_MAGNITUDE

MAX_ROWS = 1 << 40
Box = tuple[float, float]


@dataclass(frozen=True)
class Outline:
    """``together``: for each column the number of its group. ``boxes``: a range for each column that is not binary.
    ``rows``: a power of two that is not less than the number of rows.
    """

    plan: Plan
    schema: Schema
    together: tuple[int, ...]
    boxes: tuple[Box, ...]
    rows: int

    def __post_init__(self) -> None:
        numeric = int(np.count_nonzero(~self.schema.binary))
        if len(self.together) != len(self.schema.columns) or len(self.boxes) != numeric:
            raise Invalid("the outline of a node's statistics has other columns than its schema")
        if not all(-MAX_MAGNITUDE <= low <= high <= MAX_MAGNITUDE for low, high in self.boxes):
            raise Invalid("the outline of a node's statistics has a range that is none")
        if not (1 <= self.rows <= MAX_ROWS and all(0 <= g <= len(self.together) for g in self.together)):
            raise Invalid(f"the outline of a node's statistics has 1 to {MAX_ROWS} rows, and groups from 0")

    @classmethod
    def of(cls, statistics: Statistics) -> "Outline":
        """Of a node's statistics."""
        total = statistics.total
        return cls(
            statistics.plan,
            statistics.schema,
            tuple(total.moments.groups.tolist()),
            tuple(box_around(a, b) for a, b in zip(total.least.tolist(), total.most.tolist(), strict=True)),
            1 << (max(statistics.rows, 1) - 1).bit_length(),
        )


def box_around(least: float, most: float) -> Box:
    """The range rounded outwards to multiples of a power of two that is not less than its width."""
    step = _power(most - least) if most > least else _power(abs(least) or 1.0)
    low, high = floor(least / step) * step, ceil(most / step) * step
    # What is tiny beside the width may be lost in the division.
    low, high = low - step if low > least else low, high + step if high < most else high
    return max(low, -MAX_MAGNITUDE), min(high, MAX_MAGNITUDE)


@dataclass(frozen=True)
class Frame:
    """``groups``: for each column the number of its group, such that all nodes observed a group's columns together.
    ``centres`` and ``radii``, powers of two, of all columns; those of binary ones are 0 and 1. ``rows`` of each node.
    """

    plan: Plan
    schema: Schema
    groups: tuple[int, ...]
    centres: tuple[float, ...]
    radii: tuple[float, ...]
    rows: int
    nodes: int

    @property
    def digest(self) -> bytes:
        """SHA-256 of everything in it."""
        plan = [list(self.plan.targets), self.plan.products, self.plan.sketches]
        named = [[a.name, a.kind.value, list(a.levels)] for a in self.schema.attributes]
        told = [plan, named, list(self.groups), list(self.centres), list(self.radii), self.rows, self.nodes]
        return hashlib.sha256(json.dumps(told, separators=(",", ":")).encode()).digest()

    @property
    def units(self) -> tuple[Floats, Floats]:
        return np.array(self.centres), np.array(self.radii)


def frame_of(outlines: Sequence[Outline]) -> Frame:
    """Raises Conflict when nodes keep different things, Invalid for no outline."""
    if not outlines:
        raise Invalid("a frame is made of the outlines of nodes")
    if len({outline.plan for outline in outlines}) > 1:
        raise Conflict("statistics that keep different things do not add up; make all projects alike")
    schema = reduce(Schema.merged, (outline.schema for outline in outlines))
    labels = np.stack([_labels(outline, schema) for outline in outlines])
    groups, _ = numbered(labels)
    boxes = [_box(outlines, column) for column in schema.columns]
    # Half the width of a range that may be 0, up to a power of two; dividing by it rounds nothing.
    centres = [low / 2 + high / 2 for low, high in boxes]
    radii = [_power(max(high - c, c - low) or 1.0) for (low, high), c in zip(boxes, centres, strict=True)]
    binary = schema.binary
    return Frame(
        outlines[0].plan,
        schema,
        tuple(groups.tolist()),
        tuple(0.0 if flag else c for c, flag in zip(centres, binary, strict=True)),
        tuple(1.0 if flag else float(r) for r, flag in zip(radii, binary, strict=True)),
        max(outline.rows for outline in outlines),
        len(outlines),
    )


def _labels(outline: Outline, schema: Schema) -> Places:
    """For each column of ``schema`` its group in an outline, or a number of its own: columns of one attribute that is
    not there, and new levels of one that is, have a common one.
    """
    own = outline.schema
    known = {a.name: outline.together[own.place(a.columns[0])] for a in own.attributes}
    absent = len(outline.together) + 1
    found = []
    for column, owner in zip(schema.columns, schema.owners.tolist(), strict=True):
        place = own.find(column)
        name = schema.attributes[owner].name
        found.append(outline.together[place] if place >= 0 else known.get(name, absent))
    return np.array(found, np.intp)


def _box(outlines: Sequence[Outline], column: str) -> Box:
    found = []
    for outline in outlines:
        place = outline.schema.find(column)
        if place >= 0 and not outline.schema.binary[place]:
            found.append(outline.boxes[int(np.count_nonzero(~outline.schema.binary[:place]))])
    return min((low for low, _ in found), default=0.0), max((high for _, high in found), default=1.0)


def _power(number: float) -> float:
    """The least power of two that is not less."""
    mantissa, exponent = frexp(number)
    return ldexp(1.0, exponent - 1 if mantissa == 0.5 else exponent)
