"""Questions asked so often that writing their SQL anew each time would cost more than answering them.

Django builds a query's text from objects whenever it is asked, at some twenty times what SQLite needs to answer by a
key. Here a queryset with ``Slot``s in the place of values is written once for each database and filled in from then on.
It gives the same model instances, and no more is hidden than that: what a queryset cannot say, this cannot either.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

from django.db import router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model, QuerySet, sql
from django.db.models.base import ModelState
from django.db.models.constants import OnConflict
from django.db.models.query import RelatedPopulator, get_related_populators

from foedus.records.columns import way_out
from foedus.records.statements import Slot, Statement, database

M = TypeVar("M", bound=Model)
P = TypeVar("P")
_SIZES = (1, 4, 16, 64)  # of lists of keys
_NAMES = {size: [f"key{at}" for at in range(size)] for size in _SIZES}


class Prepared(Generic[M]):
    """Reads rows; ``build`` gives the queryset, whose ``Slot``s ``all`` and ``first`` fill by name."""

    def __init__(self, build: Callable[[], QuerySet[M]]) -> None:
        self._build = build
        self._written: dict[str, _Read] = {}

    def all(self, **values: Any) -> list[M]:
        """The rows, in the queryset's order."""
        at = database()
        read = self._written.get(at.vendor)
        if read is None:  # two threads may both write it, to the same end
            read = self._written[at.vendor] = _Read(self._build())
        return read.instances(values, at)

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
        at = database()
        text = self._written.get(at.vendor)
        if text is None:
            text = self._written[at.vendor] = _Text(self._build())
        return [tuple(row) for row in text.rows(values, at)]


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
            named = dict(zip(_NAMES[size], [*part, *[part[-1]] * (size - len(part))], strict=True))
            if size not in self._made:
                self._made[size] = self._build([Slot(name) for name in named])
            yield self._made[size], named


class PreparedUpdate:
    """Changes columns of the rows of a queryset: ``build`` gives it and, by column, values or ``Slot``s."""

    def __init__(self, build: Callable[[], tuple[QuerySet[Any], dict[str, Any]]]) -> None:
        self._build = build
        self._written: dict[str, Statement] = {}

    def __call__(self, **values: Any) -> int:
        """How many rows there were."""
        at = database()
        written = self._written.get(at.vendor)
        if written is None:
            queryset, columns = self._build()
            query: Any = queryset.query.chain(sql.UpdateQuery)
            query.add_update_values({name: _in_field(queryset.model, name, v) for name, v in columns.items()})
            written = self._written[at.vendor] = _written(query, at)
        return written.change(values, at)


class PreparedDelete:
    """Removes the rows of a queryset of one table, to which no other table refers."""

    def __init__(self, build: Callable[[], QuerySet[Any]]) -> None:
        self._build = build
        self._written: dict[str, Statement] = {}

    def __call__(self, **values: Any) -> int:
        """How many rows there were."""
        at = database()
        written = self._written.get(at.vendor)
        if written is None:
            query: Any = self._build().query.chain(sql.DeleteQuery)
            written = self._written[at.vendor] = _written(query, at)
        return written.change(values, at)


class PreparedInsert(Generic[M]):
    """Adds a row for an instance that has no primary key yet; ``unless_there``, unless one like it is there already."""

    def __init__(self, model: type[M], *, unless_there: bool = False) -> None:
        self._model = model
        self._ignores = unless_there
        self._written: dict[str, Statement] = {}

    def __call__(self, **values: Any) -> M:
        """The new instance, with its key; without one where there was such a row already."""
        return self.insert(self._model(**values))

    def insert(self, row: M) -> M:
        """The same for an instance."""
        at = database()
        if any(hasattr(value, "as_sql") for value in row.__dict__.values()):
            row.save(force_insert=True)  # what the database works out has a text of its own
            return row
        statement = self._written.get(at.vendor)
        if statement is None:
            statement = self._written[at.vendor] = _insertion(row, at, keys=True, ignores=self._ignores)
        added = statement.rows(row.__dict__, at)
        if added:
            ((row.pk,),) = added
            row._state.adding, row._state.db = False, at.alias  # noqa: SLF001 - as Model.save leaves them
        return row


class PreparedInserts:
    """Adds rows of ``model`` that differ in some columns alone, and whose primary keys nobody asks for."""

    def __init__(self, model: type[Model], *columns: str) -> None:
        self._model = model
        self._columns = columns
        self._written: dict[str, Statement] = {}

    def __call__(self, values: Sequence[Sequence[Any]], **alike: Any) -> None:
        """A row for each of ``values``, which holds what differs in the order of ``columns``."""
        if not values:
            return
        at = database()
        statement = self._written.get(at.vendor)
        if statement is None:
            first = self._model(**alike, **dict(zip(self._columns, values[0], strict=True)))
            statement = self._written[at.vendor] = _insertion(first, at, keys=False)
        shared = _columns(self._model, alike)
        statement.change_each((shared | dict(zip(self._columns, each, strict=True)) for each in values), at)


def _columns(model: type[Model], given: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of an instance of which this is given, by the names of its fields, without the making of one."""
    columns = {}
    for field in model._meta.concrete_fields:  # noqa: SLF001 - Django documents it
        value = given[field.name] if field.name in given else field.get_default()
        columns[field.attname] = value.pk if isinstance(value, Model) else value
    return columns


def _written(query: sql.Query, at: BaseDatabaseWrapper) -> Statement:
    return Statement(*query.get_compiler(connection=at).as_sql(), vendor=at.vendor)


def _insertion(row: Model, at: BaseDatabaseWrapper, *, keys: bool, ignores: bool = False) -> Statement:
    """With a slot for each column, called as an instance calls it. No column here has a value made as it is saved."""
    meta = row._meta  # noqa: SLF001 - Django documents it
    fields: list[Any] = [field for field in meta.concrete_fields if field is not meta.pk]
    query = sql.InsertQuery(type(row), on_conflict=OnConflict.IGNORE if ignores else None)
    query.insert_values(fields, [row], raw=False)
    compiler = query.get_compiler(connection=at)
    if keys:
        compiler.returning_fields = meta.db_returning_fields
    ((text, _),) = compiler.as_sql()
    if ignores and at.vendor == "sqlite":  # whose OR IGNORE passes over missing and forbidden values as well
        text = text.replace("INSERT OR IGNORE INTO", "INSERT INTO", 1)
        text = text.replace(" RETURNING ", " ON CONFLICT DO NOTHING RETURNING ", 1)
    return Statement(text, [Slot(field.attname, field) for field in fields], vendor=at.vendor)


class _Text:
    """One queryset as text, and how what the database gives becomes values."""

    def __init__(self, queryset: QuerySet[Any, Any]) -> None:
        self._alias = router.db_for_read(queryset.model)
        self._compiler = queryset.query.get_compiler(self._alias)
        database = self._compiler.connection
        self._statement = Statement(*self._compiler.as_sql(), vendor=database.vendor)
        columns = [column for column, _, _ in self._compiler.select]
        self._ways = [
            (place, way_out(converters, column, database))
            for place, (converters, column) in self._compiler.get_converters(columns).items()
        ]

    def rows(self, values: Mapping[str, Any], at: BaseDatabaseWrapper) -> Sequence[Sequence[Any]]:
        rows = self._statement.rows(values, at)
        return [self._read(list(row), at) for row in rows] if self._ways else rows

    def _read(self, row: list[Any], at: BaseDatabaseWrapper) -> list[Any]:
        for place, way in self._ways:
            if row[place] is not None:
                row[place] = way(row[place], at)
        return row


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
        related = get_related_populators(info, select, self._alias)  # type: ignore[call-arg]  # as of Django 5.2
        self._related = [_Related(each) for each in related]

    def instances(self, values: dict[str, Any], at: BaseDatabaseWrapper) -> list[Any]:
        return [self._instance(row, at.alias) for row in self.rows(values, at)]

    def _instance(self, row: Sequence[Any], alias: str) -> Any:
        instance = _made(self._model, self._names, row[self._from : self._to], alias)
        for related in self._related:
            related.populate(row, instance, alias)
        return instance


class _Related:
    """What ``select_related`` found beside a row, as Django's ``populator`` would attach it."""

    def __init__(self, populator: RelatedPopulator) -> None:
        assert populator.reorder_for_init is None, "no model here is another one's child"  # noqa: S101
        self._model, self._names = populator.model_cls, populator.init_list
        self._from, self._to, self._key = populator.cols_start, populator.cols_end, populator.pk_idx
        self._attach, self._attach_back = populator.local_setter, populator.remote_setter
        self._related = [_Related(each) for each in populator.related_populators]

    def populate(self, row: Sequence[Any], instance: Model, alias: str) -> None:
        values = row[self._from : self._to]
        if values[self._key] is None:
            self._attach(instance, None)
            return
        found = _made(self._model, self._names, values, alias)
        for related in self._related:
            related.populate(row, found, alias)
        self._attach(instance, found)
        self._attach_back(found, instance)


def _made(model: type[M], names: Iterable[str], values: Sequence[Any], alias: str) -> M:
    """As ``Model.from_db`` makes it, but without a call for each column: of a new instance nothing is cached yet.

    Nobody here listens to ``pre_init`` and ``post_init``.
    """
    instance = model.__new__(model)
    instance._state = state = ModelState()  # noqa: SLF001 - as Model.__init__ does
    state.adding, state.db = False, alias
    instance.__dict__.update(zip(names, values, strict=True))
    return instance


def _in_field(model: type[Model], name: str, value: Any) -> Any:
    """A slot takes the form of the column it fills."""
    if isinstance(value, Slot):
        return Slot(value.name, model._meta.get_field(name))  # type: ignore[arg-type]  # noqa: SLF001 - columns are plain fields
    return value
