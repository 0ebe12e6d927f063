"""Rows that databases give for a query."""

import sqlite3
from contextlib import closing
from urllib.parse import urlsplit

import duckdb
import psycopg
import pytest
from tests.contracts.sources import ROWS, SourceContract, taken

from foedus.connectors.contents import Terms
from foedus.connectors.internet import Guard, Private
from foedus.connectors.sources.jdbc import JdbcSource, RedshiftSource
from foedus.core.errors import Forbidden, Invalid
from foedus.ports.sources import SourceMissing, SourceRefuses

VALUES = [tuple(None if cell == "" else cell for cell in row) for row in ROWS]
TABLE = "CREATE TABLE visits (age double precision, bmi double precision, smoker text)"


@pytest.fixture
def source(tmp_path):
    return JdbcSource(Terms(Guard.allowing(["localhost", "127.0.0.1"]), folder=tmp_path))


class Databases(SourceContract):
    def test_writing_is_refused(self, source, place):
        for query in ("DELETE FROM visits", "WITH x AS (SELECT 1) DELETE FROM visits"):
            info = {name: text for name, text in place.items() if name != "table"} | {"query": query}
            with pytest.raises((SourceRefuses, Invalid)):
                taken(source, info)

        assert len(taken(source, place)[1]) == 3

    def test_browsing_shows_tables(self, source, place):
        assert [name.rpartition(".")[2] for name in source.browse(place).files] == ["visits"]

    def test_a_query_that_is_wrong_is_told(self, source, place):
        info = {name: text for name, text in place.items() if name != "table"}

        with pytest.raises(SourceRefuses, match="nothing"):
            taken(source, info | {"query": "SELECT nothing FROM visits"})


class TestSqlite(Databases):
    @pytest.fixture
    def place(self, tmp_path):
        with closing(sqlite3.connect(tmp_path / "shop.db")) as made:
            made.execute(TABLE)
            made.executemany("INSERT INTO visits VALUES (?, ?, ?)", VALUES)
            made.commit()
        return {"driver": "sqlite", "database": "shop.db", "table": "visits"}

    @pytest.fixture
    def nowhere(self):
        return {"url": "jdbc:sqlite:none.db", "table": "visits"}

    def test_other_files_stay_closed(self, source, place, tmp_path):
        with pytest.raises((SourceRefuses, Invalid)):
            taken(source, {"driver": "sqlite", "database": "shop.db", "query": "ATTACH '/etc/x' AS y"})
        with pytest.raises(Forbidden):
            taken(source, {"url": "jdbc:sqlite:../shop.db", "table": "visits"})


class TestDuckdb(Databases):
    @pytest.fixture
    def place(self, tmp_path):
        with closing(duckdb.connect(str(tmp_path / "shop.duckdb"))) as made:
            made.execute(TABLE)
            made.executemany("INSERT INTO visits VALUES (?, ?, ?)", VALUES)
        return {"driver": "duckdb", "database": "shop.duckdb", "table": "visits"}

    @pytest.fixture
    def nowhere(self):
        return {"url": "jdbc:duckdb:none.duckdb", "table": "visits"}

    def test_other_files_stay_closed(self, source, place):
        for query in ("SELECT * FROM read_csv('/etc/passwd')", "SELECT * FROM read_text('/etc/passwd')"):
            with pytest.raises(SourceRefuses):
                taken(source, {"driver": "duckdb", "database": "shop.duckdb", "query": query})


class TestPostgresql(Databases):
    @pytest.fixture
    def place(self, postgresql_database):
        with psycopg.connect(postgresql_database) as made:
            made.execute("CREATE ROLE reader LOGIN SUPERUSER PASSWORD 'orchid'")
            made.execute(TABLE)
            made.cursor().executemany("INSERT INTO visits VALUES (%s, %s, %s)", VALUES)
        parts = urlsplit(postgresql_database)
        yield {
            "driver": "org.postgresql.Driver", "host": "127.0.0.1", "port": str(parts.port),
            "database": parts.path[1:], "user": "reader", "password": "orchid", "table": "visits",
        }  # fmt: skip
        with psycopg.connect(postgresql_database) as made:
            made.execute("DROP ROLE reader")

    def test_what_is_not_there_is_missing(self, source, place):
        with pytest.raises(SourceRefuses, match="none"):
            taken(source, {**place, "table": "none"})

    def test_private_hosts_are_refused(self, place):
        with pytest.raises(Private):
            taken(JdbcSource(Terms()), place)

    def test_redshift_is_asked_in_the_same_way(self, place):
        source = RedshiftSource(Terms(Guard.allowing(["127.0.0.1"])))
        info = {
            "rsurl": f"jdbc:redshift://127.0.0.1:{place['port']}/{place['database']}", "rsuser": place["user"],
            "rspasswd": place["password"], "table": "visits",
        }  # fmt: skip

        assert len(taken(source, info)[1]) == 3
        assert source.browse(info).files == ("public.visits",)
        with pytest.raises(SourceRefuses):
            taken(source, {**info, "rspasswd": "wrong"})


@pytest.mark.parametrize(
    "info",
    [
        {"driver": "oracle", "table": "x"}, {"driver": "sqlite", "database": "d"},
        {"driver": "sqlite", "database": "d", "table": 'x"; --'}, {"driver": "postgresql", "host": "h", "table": "x"},
    ],
)  # fmt: skip
def test_what_is_incomplete_or_odd_is_refused(source, info):
    with pytest.raises((Invalid, SourceMissing)):
        taken(source, {**info, "host": "127.0.0.1"} if "host" in info else info)
