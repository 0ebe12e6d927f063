"""How values get into columns and out of them: Django's way, or to the same end SQLite's shortest one.

Django asks three to five functions of a field about every value. Nearly all are strings and whole numbers, which SQLite
takes and gives as they are; what is left are moments and JSON.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import (
    BooleanField,
    CharField,
    DateTimeField,
    Field,
    FloatField,
    ForeignKey,
    IntegerField,
    JSONField,
    TextField,
)

Way = Callable[[Any, BaseDatabaseWrapper], Any]

_STANDS_FOR_ITSELF: tuple[tuple[type["Field[Any, Any]"], type], ...] = (
    (IntegerField, int),
    (CharField, str),
    (TextField, str),
    (FloatField, float),
    (BooleanField, bool),
)
_encode = json.JSONEncoder().encode  # ``json.dumps`` does the same, once it has looked at its nine arguments
_decode = json.JSONDecoder().decode


def way_in(field: "Field[Any, Any] | None", vendor: str) -> Way:
    """From a value to what the database is given; without a field for a value that is compared with a column."""
    if vendor != "sqlite":
        return _compared if field is None else field.get_db_prep_save
    if field is None:
        return _compared_swiftly
    column: Any = field.target_field if isinstance(field, ForeignKey) else field
    if isinstance(column, DateTimeField):
        return lambda value, at: _moment_in(value, at) if _is_moment(value) else field.get_db_prep_save(value, at)
    if isinstance(column, JSONField) and column.encoder is None:
        plain = (dict, list)
        return lambda value, at: _encode(value) if type(value) in plain else field.get_db_prep_save(value, at)
    kind = next((kind for base, kind in _STANDS_FOR_ITSELF if isinstance(column, base)), None)
    return lambda value, at: value if type(value) is kind else field.get_db_prep_save(value, at)


def way_out(converters: list[Callable[..., Any]], column: Any, database: BaseDatabaseWrapper) -> Way:
    """From what the database gives to a value; None is the same in both."""
    if database.vendor == "sqlite" and len(converters) == 1:
        if converters[0] == database.ops.convert_datetimefield_value and database.timezone is UTC:  # type: ignore[attr-defined]  # of SQLite
            return _moment_out
        field = column.output_field
        if converters[0] == getattr(field, "from_db_value", None) and type(field) is JSONField and not field.decoder:
            return _json_out

    def convert(value: Any, at: BaseDatabaseWrapper) -> Any:
        for converter in converters:
            value = converter(value, column, at)
        return value

    return convert


def _compared(value: Any, at: BaseDatabaseWrapper) -> Any:
    return at.ops.adapt_datetimefield_value(value) if isinstance(value, datetime) else value


def _compared_swiftly(value: Any, at: BaseDatabaseWrapper) -> Any:
    return _moment_in(value, at) if type(value) is datetime else value


def _is_moment(value: Any) -> bool:
    """A datetime without a zone is none: Django warns of it."""
    return type(value) is datetime and value.tzinfo is not None


def _moment_in(value: datetime, at: BaseDatabaseWrapper) -> Any:
    if value.tzinfo is UTC and at.timezone is UTC:
        return str(value.replace(tzinfo=None))
    return at.ops.adapt_datetimefield_value(value)


def _moment_out(value: datetime | str, _: BaseDatabaseWrapper) -> datetime:
    """A column's value comes read already, an aggregate's does not."""
    read = datetime.fromisoformat(value) if isinstance(value, str) else value
    return read.replace(tzinfo=UTC)


def _json_out(value: str, _: BaseDatabaseWrapper) -> Any:
    return _decode(value)
