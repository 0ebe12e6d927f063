"""Questions asked so often that writing their SQL anew each time would cost more than answering them.

Django builds a query's text from objects whenever it is asked, at some twenty times what SQLite needs to answer by a
key. Here a queryset with ``Slot``s in the place of values is written once for each database and filled in from then on.
It gives the same model instances, and no more is hidden than that: what a queryset cannot say, this cannot either.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from django.db import connection, router
from django.db.models import Expression, Field, Model, QuerySet, sql
from django.db.models.query import get_related_populators

M = TypeVar("M", bound=Model)
P = TypeVar("P")
_SIZES = (1, 4, 16, 64)  # of lists of keys


class Slot(Expression):
    """A value that is not known yet; ``field`` where the database's form of it is another one, as of JSON."""

    def __init__(self, name: str, field: "Field[Any, Any] | None" = None) -> None:
        super().__init__(output_field=field)
        self.name = name
        self._field = field

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:  # noqa: ARG002 - as Django calls it
        return "%s", [self]

    def filled(self, values: dict[str, Any]) -> Any:
        """What the database is given. Raises KeyError when the value is missing."""
        value = values[self.name]
        if self._field is not None:
            return self._field.get_db_prep_save(value, connection)
        return connection.ops.adapt_datetimefield_value(value) if isinstance(value, datetime) else value


class Prepared(Generic[M]):
    """Reads rows; ``build`` gives the queryset, whose ``Slot``s ``all`` and ``first`` fill by name."""

    def __init__(self, build: Callable[[], QuerySet[M]]) -> None:
        self._build = build
        self._written: dict[str, _Read] = {}

    def all(self, **values: Any) -> list[M]:
        """The rows, in the queryset's order."""
        read = self._written.get(connection.vendor)
        if read is None:  # two threads may both write it, to the same end
            read = self._written[connection.vendor] = _Read(self._build())
        return read.instances(values)

    def first(self, **values: Any) -> M | None:
        """The first row, if any. The queryset should say ``[:1]`` unless a key makes it one."""
        return next(iter(self.all(**values)), None)


class PreparedRows:
    """Reads values: ``build`` gives a queryset of ``values_list``, of columns and aggregates, grouped by a column."""

    def __init__(self, build: Callable[[], QuerySet[Any, Any]]) -> None:
        self._build = build
        self._written: dict[str, _Text] = {}

    def __call__(self, **values: Any) -> list[tuple[Any, ...]]:
        """The rows; an aggregate of nothing has none."""
        text = self._written.get(connection.vendor)
        if text is None:
            text = self._written[connection.vendor] = _Text(self._build())
        return [tuple(row) for row in text.rows(values)]


class Many(Generic[P]):
    """A prepared question or change for lists of keys: ``build`` makes one for each of a few lengths, out of slots.

    A list that is shorter repeats its last key, a longer one takes several calls.
    """

    def __init__(self, build: Callable[[list[Any]], P]) -> None:
        self._build = build
        self._made: dict[int, P] = {}

    def calls(self, keys: Sequence[Any]) -> Iterator[tuple[P, dict[str, Any]]]:
        """What to call, and what to call it with beside the values of other slots."""
        for start in range(0, len(keys), _SIZES[-1]):
            part = keys[start : start + _SIZES[-1]]
            size = next(size for size in _SIZES if size >= len(part))
            named = {f"key{at}": part[min(at, len(part) - 1)] for at in range(size)}
            if size not in self._made:
                self._made[size] = self._build([Slot(name) for name in named])
            yield self._made[size], named


class PreparedUpdate:
    """Changes columns of the rows of a queryset: ``build`` gives it and, by column, values or ``Slot``s."""

    def __init__(self, build: Callable[[], tuple[QuerySet[Any], dict[str, Any]]]) -> None:
        self._build = build
        self._written: dict[str, tuple[str, Sequence[Any]]] = {}

    def __call__(self, **values: Any) -> int:
        """How many rows there were."""
        written = self._written.get(connection.vendor)
        if written is None:
            queryset, columns = self._build()
            query: Any = queryset.query.chain(sql.UpdateQuery)
            query.add_update_values({name: _in_field(queryset.model, name, v) for name, v in columns.items()})
            written = self._written[connection.vendor] = query.get_compiler(connection=connection).as_sql()
        with connection.cursor() as cursor:
            cursor.execute(written[0], _filled(written[1], values))
            return int(cursor.rowcount)


class PreparedInsert(Generic[M]):
    """Adds a row for an instance that has no primary key yet."""

    def __init__(self, model: type[M]) -> None:
        self._model = model
        self._written: dict[str, str] = {}

    def __call__(self, **values: Any) -> M:
        """The new instance, with its key."""
        return self.insert(self._model(**values))

    def insert(self, row: M) -> M:
        """The same instance, with its key."""
        meta = self._model._meta  # noqa: SLF001 - Django documents it
        fields = [f for f in meta.concrete_fields if f is not meta.pk]
        given = [f.get_db_prep_save(f.pre_save(row, add=True), connection) for f in fields]
        if any(hasattr(value, "as_sql") for value in given):  # what the database works out has a text of its own
            row.save(force_insert=True)
            return row
        text = self._written.get(connection.vendor)
        if text is None:
            query = sql.InsertQuery(self._model)
            query.insert_values(fields, [row], raw=False)
            compiler = query.get_compiler(connection=connection)
            compiler.returning_fields = meta.db_returning_fields
            ((text, _),) = compiler.as_sql()
            self._written[connection.vendor] = text
        with connection.cursor() as cursor:
            cursor.execute(text, given)
            (row.pk,) = cursor.fetchone()
        row._state.adding, row._state.db = False, connection.alias  # noqa: SLF001 - as Model.save leaves them
        return row


class PreparedInserts:
    """Adds rows of ``model`` that differ in ``column`` alone, whose primary keys nobody asks for."""

    def __init__(self, model: type[Model], column: str) -> None:
        self._model = model
        self._column = column

    def __call__(self, values: Sequence[Any], **alike: Any) -> None:
        if not values:
            return
        meta = self._model._meta  # noqa: SLF001 - Django documents it
        fields = [f for f in meta.concrete_fields if f is not meta.pk]
        query = sql.InsertQuery(self._model)
        query.insert_values(fields, [self._model(**alike, **{self._column: values[0]})], raw=False)
        ((text, given),) = query.get_compiler(connection=connection).as_sql()
        at = [field.attname for field in fields].index(self._column)
        with connection.cursor() as cursor:
            cursor.executemany(text, [[*given[:at], value, *given[at + 1 :]] for value in values])


class _Text:
    """One queryset as text, and how what the database gives becomes values."""

    def __init__(self, queryset: QuerySet[Any, Any]) -> None:
        self._alias = router.db_for_read(queryset.model)
        self._compiler = queryset.query.get_compiler(self._alias)
        self._text, self._slots = self._compiler.as_sql()
        self._converters = {
            at: ([_swift(convert, self._compiler.connection) for convert in converters], column)
            for at, (converters, column) in self._compiler.get_converters(
                [column for column, _, _ in self._compiler.select]
            ).items()
        }

    def rows(self, values: dict[str, Any]) -> list[Sequence[Any]]:
        with connection.cursor() as cursor:
            cursor.execute(self._text, _filled(self._slots, values))
            rows = cursor.fetchall()
        return [self._converted(row) for row in rows]

    def _converted(self, row: Sequence[Any]) -> Sequence[Any]:
        converted = list(row)
        for at, (converters, column) in self._converters.items():
            for convert in converters:
                converted[at] = convert(converted[at], column, connection)
        return converted


class _Read(_Text):
    """One queryset as text, and how its rows become instances."""

    def __init__(self, queryset: QuerySet[Any]) -> None:
        super().__init__(queryset)
        select, info = self._compiler.select, self._compiler.klass_info
        assert info is not None, "only whole instances are read"  # noqa: S101
        places = info["select_fields"]
        self._model: type[Model] = info["model"]
        self._from, self._to = places[0], places[-1] + 1
        self._names = [column.target.attname for column, _, _ in select[self._from : self._to]]
        self._related = get_related_populators(info, select, self._alias)  # type: ignore[call-arg]  # as of Django 5.2

    def instances(self, values: dict[str, Any]) -> list[Any]:
        return [self._instance(row) for row in self.rows(values)]

    def _instance(self, row: Sequence[Any]) -> Any:
        instance = self._model.from_db(connection.alias, self._names, row[self._from : self._to])
        for related in self._related:
            related.populate(row, instance)
        return instance


def _swift(convert: Callable[..., Any], database: Any) -> Callable[..., Any]:
    """Django's own way of saying that SQLite's moments are those of UTC takes longer than to read them."""
    is_slow = database.vendor == "sqlite" and convert == database.ops.convert_datetimefield_value
    return _moment if is_slow and database.timezone is UTC else convert


def _moment(value: datetime | str | None, *_: Any) -> datetime | None:
    """A column's value comes read already, an aggregate's does not."""
    read = datetime.fromisoformat(value) if isinstance(value, str) else value
    return read and read.replace(tzinfo=UTC)


def _in_field(model: type[Model], name: str, value: Any) -> Any:
    """A slot takes the form of the column it fills."""
    if isinstance(value, Slot):
        return Slot(value.name, model._meta.get_field(name))  # type: ignore[arg-type]  # noqa: SLF001 - columns are plain fields
    return value


def _filled(parameters: Sequence[Any], values: dict[str, Any]) -> list[Any]:
    return [p.filled(values) if isinstance(p, Slot) else p for p in parameters]
