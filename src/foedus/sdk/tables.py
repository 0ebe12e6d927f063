"""Tables of several libraries as a batch that statistics learn from; none of the libraries is needed here."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foedus.core.errors import Invalid
from foedus.core.statistics import Batch, Codes, Column, Kind

IGNORED = "ignored"
Kinds = Mapping[str, Kind | str]
Part = Column | Codes


def batch_of(rows: Any, kinds: Kinds) -> Batch:
    """Columns of numbers are continuous, of truth values binary, of text categories, unless ``kinds`` says otherwise.

    ``None``, NaN and blanks are missing. Raises Invalid naming the column.
    """
    columns = columns_of(rows)
    unknown = [name for name in kinds if name not in columns]
    if unknown:
        raise Invalid(f"there is no column {unknown[0]!r}; there are {', '.join(map(str, columns))[:200]}")
    parts = [_part(name, values, _kind(name, kinds)) for name, values in columns.items() if kinds.get(name) != IGNORED]
    return Batch(parts)


def columns_of(rows: Any) -> dict[str, NDArray[Any]]:
    """The columns of a table by name. Raises Invalid for what is no table."""
    return dict(_columns(rows))


def _columns(rows: Any) -> Iterator[tuple[str, NDArray[Any]]]:
    """The columns of a pandas or polars frame, an Arrow table, a mapping, or records of NumPy."""
    if isinstance(rows, np.ndarray):
        if rows.dtype.names is None:
            raise Invalid("an array has no names of columns; hand in a mapping such as {'age': array}")
        yield from ((name, rows[name]) for name in rows.dtype.names)
    elif isinstance(rows, Mapping):
        yield from ((str(name), np.asarray(values)) for name, values in rows.items())
    elif hasattr(rows, "column_names"):  # Arrow; batches have no conversion of their own
        yield from ((name, rows.column(name).to_numpy(zero_copy_only=False)) for name in _names(rows))
    elif hasattr(rows, "columns") and hasattr(rows, "__getitem__"):  # pandas, polars
        yield from ((str(name), _array(rows[name])) for name in rows.columns)
    else:
        raise Invalid(f"{type(rows).__name__} is no table: hand in a DataFrame, an Arrow table or a mapping of columns")


def _names(rows: Any) -> list[str]:
    return list(rows.column_names)


def _array(values: Any) -> NDArray[Any]:
    array: NDArray[Any] = np.asarray(values.to_numpy())
    return array


def _kind(name: str, kinds: Kinds) -> Kind | None:
    if name not in kinds:
        return None
    try:
        return Kind(kinds[name])
    except ValueError:
        known = ", ".join((*Kind, IGNORED))
        raise Invalid(f"column {name!r}: there is no kind {str(kinds[name])[:40]!r}; there are {known}") from None


def _part(name: str, values: NDArray[Any], kind: Kind | None) -> Part:
    if values.ndim != 1:
        raise Invalid(f"column {name!r} has {values.ndim} dimensions; a column has one")
    if kind is None:
        kind = _guessed(values)
    if kind is Kind.CATEGORY:
        return _category(name, values)
    try:
        numbers = values.astype(np.float64)
    except (TypeError, ValueError):
        raise Invalid(f"column {name!r} holds values that are no numbers; say kinds={{{name!r}: 'category'}}") from None
    return Column(name, kind, numbers)


def _guessed(values: NDArray[Any]) -> Kind:
    if values.dtype.kind == "b":
        return Kind.BINARY
    if values.dtype.kind in "iuf":
        return Kind.CONTINUOUS
    if values.dtype.kind == "O":
        found = {type(value) for value in values if value is not None}
        if found and found <= {bool, np.bool_}:
            return Kind.BINARY
        if found and all(issubclass(each, int | float | np.number | Decimal) for each in found):
            return Kind.CONTINUOUS
    return Kind.CATEGORY


def _category(name: str, values: NDArray[Any]) -> Codes:
    """Levels are trimmed and in lower case, as everywhere in projects."""
    texts = [None if _is_missing(value) else str(value).strip().lower() for value in values.tolist()]
    levels = sorted({text for text in texts if text})
    place = {level: code for code, level in enumerate(levels)}
    return Codes(name, np.array([place[text] if text else -1 for text in texts], dtype=np.int32), tuple(levels))


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)  # noqa: PLR0124 - NaN alone differs from itself
