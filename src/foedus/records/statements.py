"""Statements whose text is written already, on their way to the database by the shortest road.

Django wraps a cursor for each statement and rewrites its text for SQLite's placeholders, which together take as long as
SQLite does. Here the text is rewritten once, and given to the driver's connection. What Django promises stays: errors
are its own, a broken transaction takes no more statements, and whoever counts or watches statements sees each of them.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.sqlite3.base import SQLiteCursorWrapper
from django.db.models import Expression, Field


class Slot(Expression):
    """A value that is not known yet; ``field`` where the database's form of it is another one, as of JSON."""

    def __init__(self, name: str, field: "Field[Any, Any] | None" = None) -> None:
        super().__init__(output_field=field)
        self.name = name
        self._field = field

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:  # noqa: ARG002 - as Django calls it
        return "%s", [self]

    def filled(self, values: dict[str, Any], database: BaseDatabaseWrapper) -> Any:
        """What the database is given. Raises KeyError when the value is missing."""
        value = values[self.name]
        if self._field is not None:
            return self._field.get_db_prep_save(value, database)
        return database.ops.adapt_datetimefield_value(value) if isinstance(value, datetime) else value


def database() -> BaseDatabaseWrapper:
    """This thread's connection itself: ``django.db.connection`` looks it up again for every attribute."""
    return connections[DEFAULT_DB_ALIAS]


class Statement:
    """One text for one kind of database, and what is to be filled in."""

    def __init__(self, text: str, parameters: Sequence[Any] = ()) -> None:
        self._text = text
        self._parameters = parameters
        self._short = SQLiteCursorWrapper.convert_query(None, text)  # type: ignore[arg-type]  # it uses no cursor

    def filled(self, values: dict[str, Any], at: BaseDatabaseWrapper) -> list[Any]:
        return [p.filled(values, at) if isinstance(p, Slot) else p for p in self._parameters]

    def rows(self, given: Sequence[Any], at: BaseDatabaseWrapper) -> list[Any]:
        """What the database answers."""
        if _is_watched(at):
            with at.cursor() as cursor:
                cursor.execute(self._text, given)
                return list(cursor.fetchall())
        with at.wrap_database_errors:
            return _opened(at).execute(self._short, given).fetchall()  # type: ignore[no-any-return]

    def change(self, given: Sequence[Any], at: BaseDatabaseWrapper) -> int:
        """How many rows were changed."""
        if _is_watched(at):
            with at.cursor() as cursor:
                cursor.execute(self._text, given)
                return int(cursor.rowcount)
        with at.wrap_database_errors:
            return int(_opened(at).execute(self._short, given).rowcount)

    def change_each(self, given: Sequence[Sequence[Any]], at: BaseDatabaseWrapper) -> None:
        """The same change with one set of values after the other."""
        with at.cursor() as cursor:
            cursor.executemany(self._text, given)


def _is_watched(at: BaseDatabaseWrapper) -> bool:
    """Whether Django's own cursor is to be used: for another database, or because somebody wants to see statements."""
    return at.vendor != "sqlite" or bool(at.execute_wrappers) or at.queries_logged


def _opened(at: BaseDatabaseWrapper) -> Any:
    """The driver's connection, as ``cursor`` would open and check it."""
    at.close_if_health_check_failed()
    at.ensure_connection()
    at.validate_thread_sharing()
    at.validate_no_broken_transaction()
    return at.connection
