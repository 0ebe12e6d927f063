"""Rows as they are learned: named columns in memory, whatever they were read from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from foedus.core.errors import Conflict, Invalid
from foedus.core.statistics.moments import Flags, Floats
from foedus.core.statistics.schema import Attribute, Kind, Schema

Numbers = NDArray[Any]  # bool, integers or floats
_TURNED_BYTES = 1 << 16
_LEAST_TURNED = 64  # rows


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of one matrix, ``values`` (rows, columns), in any memory order. NaN is a missing value."""

    names: tuple[str, ...]
    kinds: tuple[Kind, ...]
    values: Numbers

    def __post_init__(self) -> None:
        _check_numbers(self.values, 2, self.names[0] if self.names else "")
        if not len(self.names) == len(self.kinds) == self.values.shape[1]:
            raise Invalid("a table needs one name and one kind for each column")
        if Kind.CATEGORY in self.kinds:
            raise Invalid("a matrix holds numbers; hand in categories as codes")

    @property
    def rows(self) -> int:
        return int(self.values.shape[0])

    def attributes(self) -> list[Attribute]:
        return [Attribute(name, kind) for name, kind in zip(self.names, self.kinds, strict=True)]

    def taken(self, rows: NDArray[np.intp]) -> "Table":
        return Table(self.names, self.kinds, self.values[rows])

    def fill(self, start: int, stop: int, out: Floats, lines: Sequence[int]) -> None:
        together = list(lines) == list(range(lines[0], lines[0] + len(lines)))
        if together and not self.values.flags.f_contiguous:
            # Rows are turned into columns some at a time, so that the cache has them when their next number is due.
            step = max(_LEAST_TURNED, _TURNED_BYTES // (self.values.itemsize * len(lines)))
            for at in range(start, stop, step):
                end = min(at + step, stop)
                out[lines[0] : lines[0] + len(lines), at - start : end - start] = self.values[at:end].T
            return
        for line, column in zip(lines, self.values[start:stop].T, strict=True):
            out[line] = column


@dataclass(frozen=True, slots=True)
class Column:
    """One column of numbers. NaN is a missing value."""

    name: str
    kind: Kind
    values: Numbers

    def __post_init__(self) -> None:
        _check_numbers(self.values, 1, self.name)
        if self.kind is Kind.CATEGORY:
            raise Invalid(f"attribute {self.name!r}: hand in categories as codes", attribute=self.name)

    @property
    def rows(self) -> int:
        return len(self.values)

    def attributes(self) -> list[Attribute]:
        return [Attribute(self.name, self.kind)]

    def taken(self, rows: NDArray[np.intp]) -> "Column":
        return Column(self.name, self.kind, self.values[rows])

    def fill(self, start: int, stop: int, out: Floats, lines: Sequence[int]) -> None:
        out[lines[0]] = self.values[start:stop]


@dataclass(frozen=True, slots=True)
class Codes:
    """A category: for each row the place of its level in ``levels`` (sorted, all different), or -1 where it is
    missing.
    """

    name: str
    codes: NDArray[np.integer[Any]]
    levels: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.codes.ndim != 1 or self.codes.dtype.kind not in "iu":
            raise Invalid(f"attribute {self.name!r}: codes are one line of integers", attribute=self.name)
        if len(self.codes) and not -1 <= int(self.codes.min()) <= int(self.codes.max()) < len(self.levels):
            raise Invalid(f"attribute {self.name!r}: a code is outside its levels", attribute=self.name)

    @property
    def rows(self) -> int:
        return len(self.codes)

    def attributes(self) -> list[Attribute]:
        return [Attribute(self.name, Kind.CATEGORY, self.levels)] if self.levels else []

    def taken(self, rows: NDArray[np.intp]) -> "Codes":
        return Codes(self.name, self.codes[rows], self.levels)

    def fill(self, start: int, stop: int, out: Floats, lines: Sequence[int]) -> None:
        codes = self.codes[start:stop]
        if not lines:
            return
        out[lines] = 0.0
        at = np.asarray(lines, dtype=np.intp)
        known = np.flatnonzero(codes >= 0)
        out[at[codes[known]], known] = 1.0
        if len(known) < len(codes):
            out[np.ix_(at, np.flatnonzero(codes < 0))] = np.nan


class Batch:
    """Columns of equal length. ``lines`` of a block put the columns that are not binary first.

    Raises Invalid when lengths differ or a name comes twice.
    """

    def __init__(self, parts: Sequence[Table | Column | Codes], rows: int | None = None) -> None:
        self._parts = tuple(parts)
        self.rows = self._parts[0].rows if rows is None and self._parts else rows or 0
        for part in self._parts:
            if part.rows != self.rows:
                raise Invalid(f"columns differ in length: {part.rows} rows and {self.rows} rows")
        self.schema = Schema.of(attribute for part in self._parts for attribute in part.attributes())
        order = np.argsort(self.schema.binary, kind="stable")
        self.binary: Flags = self.schema.binary[order]
        self.places = np.argsort(order)  # of the schema's columns among the lines
        self._lines = [self._lines_of(part) for part in self._parts]

    def fill(self, start: int, stop: int, out: Floats) -> None:
        """Write rows ``start`` to ``stop`` into ``out`` (columns, rows)."""
        for part, lines in zip(self._parts, self._lines, strict=True):
            part.fill(start, stop, out, lines)

    def values(self, line: int, start: int, stop: int) -> Floats:
        """One column that is not binary: (rows,)."""
        part, lines = next(pair for pair in zip(self._parts, self._lines, strict=True) if line in pair[1])
        column = part.values[:, lines.index(line)] if isinstance(part, Table) else cast(Column, part).values
        return column[start:stop].astype(np.float64)

    def where(self, rows: NDArray[np.intp]) -> "Batch":
        """Some of the rows."""
        return Batch([part.taken(rows) for part in self._parts], len(rows))

    def levels(self, name: str) -> Iterator[tuple[str, NDArray[np.intp]]]:
        """The levels of a binary attribute ("0" and "1") or category, and the rows that have each. None if it is not
        there.

        Raises Conflict for an attribute of another kind.
        """
        for part in self._parts:
            for attribute in part.attributes():
                if attribute.name == name:
                    yield from _levels(part, attribute)

    def _lines_of(self, part: Table | Column | Codes) -> list[int]:
        columns = (column for attribute in part.attributes() for column in attribute.columns)
        return [int(self.places[self.schema.place(column)]) for column in columns]


def _levels(part: Table | Column | Codes, attribute: Attribute) -> Iterator[tuple[str, NDArray[np.intp]]]:
    if isinstance(part, Codes):
        for code, level in enumerate(part.levels):
            yield level, np.flatnonzero(part.codes == code)
        return
    if attribute.kind is not Kind.BINARY:
        raise Conflict(f"target {attribute.name!r} is {attribute.kind}; a target is binary or a category")
    values = part.values if isinstance(part, Column) else part.values[:, part.names.index(attribute.name)]
    for number in (0, 1):
        yield str(number), np.flatnonzero(values == number)


def _check_numbers(values: Numbers, dimensions: int, name: str) -> None:
    if values.ndim != dimensions or values.dtype.kind not in "biuf":
        raise Invalid(
            f"column {name!r}: expected numbers in {dimensions} dimension(s), found {values.dtype}{list(values.shape)}",
            attribute=name,
        )
