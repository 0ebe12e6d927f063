"""The contract of metadata connectors, over this one, and what the contract cannot know."""

import itertools
import json
import sqlite3
from contextlib import closing

import pytest

from foedus.connectors.metadata.contract import MetadataContract
from foedus.core.errors import Invalid
from foedus.ports.metadata import MetadataUnavailable
from my_connectors.metadata import SqliteMetadata


class SqliteWorld:
    """The store, and what an API writes into it."""

    def __init__(self, path):
        self.path = str(path)
        self.metadata = self.opened()
        self._numbers = itertools.count(1)

    def opened(self):
        return SqliteMetadata.from_settings({"path": self.path}, ports=None)

    def model(self, *, aggregator="average_layers", requirement="", arguments=(), furthest_base=None, active=True):
        row = [aggregator, requirement, json.dumps(arguments), furthest_base, active]
        sql = "INSERT INTO models (aggregator, requirement, arguments, furthest_base, active) VALUES (?, ?, ?, ?, ?)"
        return self._write(sql, row)

    def client(self, model):
        name = f"client-{next(self._numbers)}"
        self._write("INSERT INTO clients VALUES (?, ?)", [model, name])
        return name

    def leave(self, model, client):
        self._write("DELETE FROM clients WHERE model = ? AND client = ?", [model, client])

    def update(self, model, client, *, base=None):
        row = [model, client, f"updates/{next(self._numbers)}", base]
        return self._write("INSERT INTO updates (model, client, data, base) VALUES (?, ?, ?, ?)", row)

    def data(self, update):
        return self._read("data", update)

    def result(self, model):
        return f"aggregates/{next(self._numbers)}"

    def reason(self, update):
        return self._read("reason", update)

    def _write(self, sql, row):
        with closing(sqlite3.connect(self.path)) as db, db:
            return db.execute(sql, row).lastrowid

    def _read(self, column, update):
        with closing(sqlite3.connect(self.path)) as db:
            return db.execute(f"SELECT {column} FROM updates WHERE id = ?", [update]).fetchone()[0]


@pytest.fixture
def world(tmp_path):
    return SqliteWorld(tmp_path / "metadata.sqlite3")


class TestSqliteMetadata(MetadataContract):
    @pytest.fixture
    def world(self, world):
        return world


@pytest.mark.parametrize("options", [{}, {"path": 7}, {"path": "x", "colour": "red"}])
def test_options_that_mean_nothing_are_refused(options):
    with pytest.raises(Invalid, match="path"):
        SqliteMetadata.from_settings(options, ports=None)


def test_a_file_that_cannot_be_opened_is_unavailable(tmp_path):
    with pytest.raises(MetadataUnavailable):
        SqliteMetadata(str(tmp_path / "no" / "such" / "folder.sqlite3"))
