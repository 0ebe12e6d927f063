"""Statements whose text is written already, on their way to the database by the shortest road.

Django wraps a cursor for each statement and rewrites its text for SQLite's placeholders, which together take as long as
SQLite does. Here the text is rewritten once, and given to the driver's connection. What Django promises stays: errors
are its own, a broken transaction takes no more statements, and whoever counts or watches statements sees each of them.

What is the same each time stands in SQLite's text. As a parameter it would keep SQLite from indexes of a part of the
rows (``WHERE phase IN ('waiting', ...)``), which it chooses before it knows parameters, or have it plan each time anew.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Expression, Field

from foedus.records.columns import way_in


class Slot(Expression):
    """A value that is not known yet; ``field`` where the database's form of it is another one, as of JSON."""

    def __init__(self, name: str, field: "Field[Any, Any] | None" = None) -> None:
        super().__init__(output_field=field)
        self.name = name
        self.column = field

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:  # noqa: ARG002 - as Django calls it
        return "%s", [self]


def database() -> BaseDatabaseWrapper:
    """This thread's connection itself: ``django.db.connection`` looks it up again for every attribute."""
    return connections[DEFAULT_DB_ALIAS]


class Statement:
    """One text for one kind of database, with ``Slot``s among its parameters."""

    def __init__(self, text: str, parameters: Sequence[Any], *, vendor: str) -> None:
        self._text = text
        self._parameters = parameters
        self._short = text
        if vendor == "sqlite":
            self._short = text % tuple("?" if isinstance(p, Slot) else _literal(p) for p in parameters)
        self._ways = [(p.name, way_in(p.column, vendor)) for p in parameters if isinstance(p, Slot)]

    def filled(self, values: Mapping[str, Any], at: BaseDatabaseWrapper) -> list[Any]:
        """What goes into the slots. Raises KeyError when a value is missing."""
        return [None if (value := values[name]) is None else way(value, at) for name, way in self._ways]

    def rows(self, values: Mapping[str, Any], at: BaseDatabaseWrapper) -> list[Any]:
        """What the database answers."""
        given = self.filled(values, at)
        if _is_watched(at):
            with at.cursor() as cursor:
                cursor.execute(self._text, self._all(given))
                return list(cursor.fetchall())
        with at.wrap_database_errors:
            return _opened(at).execute(self._short, given).fetchall()  # type: ignore[no-any-return]

    def change(self, values: Mapping[str, Any], at: BaseDatabaseWrapper) -> int:
        """How many rows were changed."""
        given = self.filled(values, at)
        if _is_watched(at):
            with at.cursor() as cursor:
                cursor.execute(self._text, self._all(given))
                return int(cursor.rowcount)
        with at.wrap_database_errors:
            return int(_opened(at).execute(self._short, given).rowcount)

    def change_each(self, values: Iterable[Mapping[str, Any]], at: BaseDatabaseWrapper) -> None:
        """The same change with one set of values after the other, of which there may be a million."""
        given = (self.filled(each, at) for each in values)
        if _is_watched(at):
            with at.cursor() as cursor:
                cursor.executemany(self._text, [self._all(each) for each in given])
            return
        with at.wrap_database_errors:
            _opened(at).executemany(self._short, given)

    def _all(self, given: Sequence[Any]) -> list[Any]:
        """Values for Django's cursor, whose text has placeholders for those that never change, too."""
        slots = iter(given)
        return [next(slots) if isinstance(p, Slot) else p for p in self._parameters]


def _literal(value: Any) -> str:
    """A value that Django made ready for SQLite, as SQLite writes it. Raises TypeError for others than these."""
    if value is None:
        return "NULL"
    if isinstance(value, str) and "\0" not in value:
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, int):
        return str(int(value))
    raise TypeError(f"a statement has {value!r} in the place of a slot")


def _is_watched(at: BaseDatabaseWrapper) -> bool:
    """Whether Django's own cursor is to be used: for another database, or because somebody wants to see statements."""
    return at.vendor != "sqlite" or bool(at.execute_wrappers) or at.queries_logged


def _opened(at: BaseDatabaseWrapper) -> Any:
    """The driver's connection, as ``cursor`` would open and check it; ``database`` gives it to its own thread alone."""
    if at.connection is None or at.health_check_enabled:  # type: ignore[attr-defined]  # Django's stubs leave it out
        at.close_if_health_check_failed()
        at.ensure_connection()
    if at.needs_rollback:
        at.validate_no_broken_transaction()
    return at.connection
