"""A new database is as if it had gone through every migration there ever was."""

import re
from contextlib import ExitStack, contextmanager

import pytest
from django.core.management import call_command
from django.db import connections
from tests.servers.postgresql import new_database

from foedus.bootstrap import database
from foedus.options import Settings
from foedus.server.tables import make_tables

QUESTIONS = {
    "sqlite": ["SELECT type, tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL"],
    "postgresql": [
        """SELECT table_name, column_name, data_type, character_maximum_length, is_nullable, is_identity, column_default
           FROM information_schema.columns WHERE table_schema = 'public'
           AND (table_name, column_name) <> ('auth_group_permissions', 'id')""",  # Django numbers it either way
        "SELECT conrelid::regclass::text, contype, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid <> 0",
        """SELECT tablename, regexp_replace(indexdef, 'INDEX \\S+ ON', 'INDEX ON')
           FROM pg_indexes WHERE schemaname = 'public'""",
    ],
}


@contextmanager
def opened(alias, how):
    """A database of this process's own choice, by this alias."""
    defaults = {name: value for name, value in connections["default"].settings_dict.items() if name not in how}
    connections.databases[alias] = {**defaults, **how}
    try:
        yield alias
    finally:
        connections[alias].close()
        del connections[alias], connections.databases[alias]


BOTH = pytest.mark.parametrize("empty", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)], indirect=True)
ONE = pytest.mark.parametrize("empty", ["sqlite"], indirect=True)


@pytest.fixture
def empty(request, tmp_path, django_db_blocker):
    """The aliases of two databases without a table."""
    with ExitStack() as stack:
        stack.enter_context(django_db_blocker.unblock())
        found = []
        for alias in ("one", "two"):
            if request.param == "sqlite":
                options = Settings(data=tmp_path, database_url=f"sqlite:{tmp_path / alias}")
            else:
                url = stack.enter_context(new_database(request.getfixturevalue("postgresql_url")))
                options = Settings(data=tmp_path, database_url=url)
            found.append(stack.enter_context(opened(alias, database(options))))
        yield found


def asked(alias, question):
    with connections[alias].cursor() as cursor:
        cursor.execute(question)
        return cursor.fetchall()


def tables(alias):
    """What tables there are; in which order columns and constraints stand is of no account."""
    rows = [row for question in QUESTIONS[connections[alias].vendor] for row in asked(alias, question)]
    return sorted(tuple(part for value in row for part in parts(str(value))) for row in rows)


def parts(sql):
    return sorted(re.split(r", (?=\"|CONSTRAINT|UNIQUE)", sql[:-1])) if sql.startswith("CREATE TABLE") else [sql]


def rows(alias):
    names = connections[alias].introspection.table_names()
    counts = {name: asked(alias, f'SELECT count(*) FROM "{name}"') for name in names}
    return counts, sorted(asked(alias, "SELECT app, name FROM django_migrations"))


@BOTH
def test_a_new_database_is_what_all_migrations_make(empty):
    toured, made = empty

    call_command("migrate", database=toured, verbosity=0)
    make_tables(made)

    assert set(tables(made)) ^ set(tables(toured)) == set()
    assert rows(made) == rows(toured)


@ONE
@pytest.mark.slow
def test_a_database_that_stopped_half_way_through_history_is_brought_up_to_date(empty):
    started, made = empty
    call_command("migrate", "learning", "0003", database=started, verbosity=0)

    make_tables(started)
    make_tables(made)

    assert tables(started) == tables(made)
    assert rows(started) == rows(made)


@ONE
def test_tables_that_are_there_stay_as_they_are(empty):
    made, _ = empty
    make_tables(made)
    before = tables(made), rows(made)

    make_tables(made)

    assert (tables(made), rows(made)) == before
