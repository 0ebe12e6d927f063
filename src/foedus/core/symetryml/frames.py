"""A SymetryML DataFrame, checked and turned into a batch that statistics learn from.

Cells are text or numbers. Missing are ``null``, blanks, ``NaN`` and ``null`` as text.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import NoneType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foedus.core.errors import Conflict, Invalid, TooLarge
from foedus.core.statistics import Batch, Codes, Column, Kind
from foedus.core.statistics.sums import MAX_MAGNITUDE

MAX_NAME = 512
MAX_LEVEL = 256
SKIP_ROWS = 1  # errorHandling: rows with a cell that cannot be read are left out
_MISSING = frozenset({"", "nan", "null"})
_SHOWN = 40
Floats = NDArray[np.float64]


class Letter(StrEnum):
    """The type of an attribute, as a frame writes it."""

    CONTINUOUS = "C"
    BINARY = "B"
    CATEGORY = "T"
    STRING = "S"
    LIST = "L"
    IGNORED = "X"
    INTERNAL = "-"
    PATIENT = "P"


KINDS: Mapping[Letter, Kind] = {
    Letter.CONTINUOUS: Kind.CONTINUOUS,
    Letter.BINARY: Kind.BINARY,
    Letter.CATEGORY: Kind.CATEGORY,
}


@dataclass(frozen=True, slots=True)
class Frame:
    """Named columns of cells as they came, all of one length."""

    names: tuple[str, ...]
    letters: tuple[Letter, ...]
    cells: tuple[Sequence[Any], ...]
    rows: int
    skip_bad_rows: bool = False

    @classmethod
    def of(
        cls, value: Any, known: Mapping[str, Letter] | None = None, *, default: Letter = Letter.CONTINUOUS
    ) -> "Frame":
        """The frame in a JSON value. ``known``: types of attributes, for frames that tell none.

        Raises Invalid naming the row or attribute that is wrong, Conflict for a type that is not the known one.
        """
        known = known or {}
        if not isinstance(value, dict):
            raise Invalid("a DataFrame is an object of attributeNames, attributeTypes and data")
        names = _names(value.get("attributeNames"))
        letters = _letters(value.get("attributeTypes"), names, known, default)
        rows = value.get("data")
        if not isinstance(rows, list):
            raise Invalid("data of a DataFrame must be a list of rows")
        _check_rows(rows, len(names))
        cells = tuple(zip(*rows, strict=True)) if rows else tuple(() for _ in names)
        return cls(names, letters, cells, len(rows), _skips(value.get("errorHandling")))

    def column(self, name: str) -> Sequence[Any] | None:
        """The cells of an attribute; None when it is not here."""
        return self.cells[self.names.index(name)] if name in self.names else None

    def where(self, keep: NDArray[np.bool_]) -> "Frame":
        """The rows that are kept."""
        if keep.all():
            return self
        places = np.flatnonzero(keep).tolist()
        cells = tuple(tuple(column[place] for place in places) for column in self.cells)
        return Frame(self.names, self.letters, cells, len(places), self.skip_bad_rows)


@dataclass(frozen=True, slots=True)
class Learnable:
    """A batch, the columns that it brings in their order with their letters, the ids of patients in it, if any."""

    batch: Batch
    columns: tuple[tuple[str, str], ...]
    patients: tuple[str | None, ...] | None
    keep: NDArray[np.bool_]  # which rows of the frame


def learnable(frame: Frame, encoded: Mapping[str, Floats] | None = None, *, max_columns: int) -> Learnable:
    """What statistics learn of a frame. ``encoded``: numbers that an encoder made of text attributes.

    Raises Invalid for a cell that cannot be read, unless the frame says to leave such rows out; TooLarge.
    """
    encoded = encoded or {}
    keep = np.ones(frame.rows, dtype=bool)
    parts: list[Column | Codes] = []
    columns: list[tuple[str, str]] = []
    patients: tuple[str | None, ...] | None = None
    for name, letter, cells in zip(frame.names, frame.letters, frame.cells, strict=True):
        if letter in (Letter.CONTINUOUS, Letter.BINARY):
            values, good = numbers(name, cells, binary=letter is Letter.BINARY, strict=not frame.skip_bad_rows)
            keep &= good
            parts.append(Column(name, KINDS[letter], values))
            columns.append((name, letter.value))
        elif letter is Letter.CATEGORY:
            codes = _codes(name, cells, max_columns)
            parts.append(codes)
            columns += [(f"{name}${level}", Letter.BINARY.value) for level in codes.levels]
        elif letter is Letter.PATIENT:
            patients = tuple(texts_of(name, cells))
        elif name in encoded:
            parts.append(Column(name, Kind.ENCODED, encoded[name]))
            columns.append((name, Letter.CONTINUOUS.value))
    if len(columns) > max_columns:
        raise TooLarge(f"the frame has {len(columns)} columns, and {max_columns} are allowed", columns=len(columns))
    batch = Batch(parts, frame.rows)
    if not keep.all():
        batch = batch.where(np.flatnonzero(keep))
        patients = None if patients is None else tuple(p for p, kept in zip(patients, keep, strict=True) if kept)
    return Learnable(batch, tuple(columns), patients, keep)


def numbers(
    name: str, cells: Sequence[Any], *, binary: bool, truths: bool = False, strict: bool = True
) -> tuple[Floats, NDArray[np.bool_]]:
    """A column's numbers, NaN where a cell is missing; and which cells could be read. Truth values count as 1 and 0 in
    a ``binary`` column, or with ``truths``. Raises Invalid if ``strict``.
    """
    values = _fast(cells)
    if values is None:
        values = np.array([_number(cell, truths=binary or truths) for cell in cells], dtype=np.float64)
    bad = np.abs(values) > MAX_MAGNITUDE
    if binary:
        bad |= ~(np.isnan(values) | (values == 0) | (values == 1))
    if bad.any() and strict:
        row = int(np.flatnonzero(bad)[0])
        expected = "0 or 1" if binary else f"a number up to {MAX_MAGNITUDE:g}"
        raise Invalid(f"row {row}, attribute {name!r}: {_shown(cells[row])} is not {expected}", row=row, attribute=name)
    if bad.any():
        values = np.where(bad, np.nan, values)
    return values, ~bad


def _fast(cells: Sequence[Any]) -> Floats | None:
    """All cells at once, when each is plainly a number; None when they have to be looked at one by one."""
    kinds = set(map(type, cells))
    try:
        if kinds <= {int, float, NoneType}:
            return np.array(cells, dtype=np.float64)
        if kinds <= {str, NoneType}:
            texts = [cell or "nan" for cell in cells] if NoneType in kinds or "" in cells else cells
            return None if "_" in "".join(texts) else np.array(list(map(float, texts)), dtype=np.float64)
    except (ValueError, OverflowError):
        return None
    return None


def _number(cell: Any, *, truths: bool) -> float:
    """A cell's number; NaN where it is missing, an infinity where it is none. Where amounts are expected, a truth value
    is a mistake, as the text "true" is.
    """
    if cell is None or (isinstance(cell, str) and cell.strip().lower() in _MISSING):
        return np.nan
    if not isinstance(cell, str | int | float) or "_" in str(cell):  # Python reads 1_000, and nobody else does
        return np.inf
    if isinstance(cell, bool) and not truths:
        return np.inf
    try:
        return float(cell)
    except (ValueError, OverflowError):
        return np.inf


def _codes(name: str, cells: Sequence[Any], max_columns: int) -> Codes:
    distinct = dict.fromkeys(cell for cell in cells if isinstance(cell, str))
    _check_levels(name, (text_of(name, cell) for cell in distinct), max_columns)
    texts = texts_of(name, cells)
    levels = sorted({text for text in texts if text is not None})
    _check_levels(name, levels, max_columns)
    place: dict[str | None, int] = {None: -1, **{level: code for code, level in enumerate(levels)}}
    codes = np.fromiter(map(place.__getitem__, texts), dtype=np.int32, count=len(texts))
    return Codes(name, codes, tuple(levels))


def _check_levels(name: str, texts: Iterable[str | None], most: int) -> None:
    """Raises TooLarge as soon as there are too many: a million of them are not read first."""
    found: set[str | None] = {None}
    for text in texts:
        found.add(text)
        if len(found) > most + 1:
            raise TooLarge(
                f"attribute {name!r} has more than {most} different values, which is how many columns are allowed; "
                "use an encoder, or ignore it (X)",
                attribute=name,
            )


def texts_of(name: str, cells: Sequence[Any]) -> list[str | None]:
    """A column's cells as ``text_of`` reads each; those that are alike are read once."""
    if not set(map(type, cells)) <= {str, NoneType}:  # 1, 1.0 and True are alike to a dictionary, and not as text
        return [text_of(name, cell) for cell in cells]
    read = {cell: text_of(name, cell) for cell in dict.fromkeys(cells)}
    return list(map(read.__getitem__, cells))


def text_of(name: str, cell: Any) -> str | None:
    """A cell of a category or an id: trimmed, in lower case."""
    if cell is None:
        return None
    if isinstance(cell, list | dict):
        raise Invalid(f"attribute {name!r}: {_shown(cell)} is no text", attribute=name)
    text = str(cell).strip().lower()
    if text in _MISSING:
        return None
    if len(text) > MAX_LEVEL or not text.isprintable():
        raise Invalid(f"attribute {name!r}: values of a category have 1 to {MAX_LEVEL} printable characters")
    return text


def _check_rows(rows: Sequence[Any], width: int) -> None:
    if set(map(type, rows)) <= {list} and set(map(len, rows)) <= {width}:
        return
    for number, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != width:
            found = f"{len(row)} cells" if isinstance(row, list) else "no list"
            raise Invalid(f"row {number} has {found}, and there are {width} attributes", row=number)


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise Invalid("attributeNames of a DataFrame must be a list of texts")
    for name in value:
        if not name or len(name) > MAX_NAME or not name.isprintable():
            raise Invalid(f"attribute names have 1 to {MAX_NAME} printable characters, not {_shown(name)}")
    if len(set(value)) < len(value):
        twice = next(name for name in value if value.count(name) > 1)
        raise Invalid(f"attribute {_shown(twice)} is named twice", attribute=twice[:_SHOWN])
    return tuple(value)


def _letters(value: Any, names: tuple[str, ...], known: Mapping[str, Letter], default: Letter) -> tuple[Letter, ...]:
    if value is None or value == []:
        return tuple(known.get(name, default) for name in names)
    if not isinstance(value, list) or len(value) != len(names):
        raise Invalid(f"attributeTypes must be a list of {len(names)} letters, one for each attribute")
    letters = []
    for name, text in zip(names, value, strict=True):
        try:
            letter = Letter(text)
        except ValueError:
            raise Invalid(
                f"attribute {_shown(name)}: there is no type {_shown(text)}; there are C, B, T, S, L, X, P and -"
            ) from None
        if name in known and letter in KINDS and known[name] is not letter:
            raise Conflict(
                f"attribute {_shown(name)} is {known[name].value} in this project and {letter.value} in the frame",
                attribute=name[:_SHOWN],
            )
        letters.append(letter)
    return tuple(letters)


def _skips(value: Any) -> bool:
    return str(value) == str(SKIP_ROWS)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
