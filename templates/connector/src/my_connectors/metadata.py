"""Federated models in a file of SQLite, beside an API of your own that writes models, clients and updates there."""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from importlib.resources import files
from typing import Any, Self
from uuid import uuid4

from foedus.core.errors import Invalid, NoUpdates
from foedus.ports import Ports
from foedus.ports.metadata import (
    Claim,
    ClaimLost,
    FederatedModel,
    MetadataUnavailable,
    ModelMissing,
    ModelUpdate,
    NotClaimable,
)


class SqliteMetadata:
    """Every verb is one transaction, and every call a connection of its own: any thread or process may call."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.migrate()

    @classmethod
    def from_settings(cls, options: Mapping[str, Any], ports: Ports) -> Self:  # noqa: ARG003 - all are called alike
        """``options`` is what stands beside ``type`` in the settings; refuse what you do not know."""
        if set(options) != {"path"} or not isinstance(options["path"], str):
            raise Invalid("SqliteMetadataConnector has one option, path: the file that holds the models")
        return cls(options["path"])

    def get_model(self, model: int) -> FederatedModel:
        with self._transaction() as db:
            return _model(db, model)

    def waiting(self, model: int, *, now: datetime) -> Sequence[ModelUpdate]:
        with self._transaction() as db:
            _model(db, model)
            _expire(db, model, now)
            return _waiting(db, model)

    def claim(self, model: int, updates: Sequence[int], *, now: datetime, lease: timedelta) -> Claim:
        with self._transaction() as db:
            _model(db, model)
            _expire(db, model, now)
            wanted = set(updates)
            taken = tuple(update for update in _waiting(db, model) if update.id in wanted)
            if not taken or len(taken) < len(wanted):
                raise NotClaimable(model=model)
            newest = db.execute("SELECT max(id) FROM aggregates WHERE model = ?", [model]).fetchone()[0]
            claim = Claim(model=model, run=uuid4().hex, updates=taken, parent=newest, until=now + lease)
            try:
                db.execute("INSERT INTO runs VALUES (?, ?, ?)", [model, claim.run, claim.until.timestamp()])
            except sqlite3.IntegrityError as exc:
                raise NotClaimable(model=model) from exc
            _set(db, claim, "waiting", "claimed", "")
            return claim

    def renew(self, claim: Claim, *, now: datetime, lease: timedelta) -> Claim:
        with self._transaction() as db:
            _check_held(db, claim, now)
            db.execute("UPDATE runs SET until = ? WHERE run = ?", [(now + lease).timestamp(), claim.run])
            return replace(claim, until=now + lease)

    def reject(self, claim: Claim, update: int, reason: str, *, now: datetime) -> None:
        with self._transaction() as db:
            _check_held(db, claim, now)
            if update not in {claimed.id for claimed in claim.updates}:
                raise ClaimLost("This update is not part of the claim.", model=claim.model, update=update)
            db.execute("UPDATE updates SET state = 'rejected', reason = ? WHERE id = ?", [reason, update])

    def finish(self, claim: Claim, data: str, *, now: datetime) -> int:
        with self._transaction() as db:
            made = db.execute("SELECT id FROM aggregates WHERE run = ? AND data = ?", [claim.run, data]).fetchone()
            if made:
                return int(made["id"])
            _check_held(db, claim, now)
            if not _set(db, claim, "claimed", "complete", ""):
                raise NoUpdates("Every update of this claim was rejected.", model=claim.model)
            row = [claim.model, claim.parent, data, claim.run]
            sql = "INSERT INTO aggregates (model, parent, data, run) VALUES (?, ?, ?, ?) RETURNING id"
            made = db.execute(sql, row).fetchone()
            db.execute("DELETE FROM runs WHERE run = ?", [claim.run])
            return int(made["id"])

    def release(self, claim: Claim, reason: str, *, now: datetime) -> None:  # noqa: ARG002 - late is no matter here
        with self._transaction() as db:
            if db.execute("DELETE FROM runs WHERE run = ?", [claim.run]).rowcount:
                _set(db, claim, "claimed", "waiting", reason)

    def migrate(self) -> None:
        with self._connection() as db:
            db.executescript(files(__package__).joinpath("schema.sql").read_text("utf-8"))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._connection() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """Errors of the driver end here: what may work the next time is Unavailable, anything else is a bug."""
        try:
            with closing(sqlite3.connect(self._path, timeout=30, isolation_level=None)) as db:
                db.row_factory = sqlite3.Row
                db.execute("PRAGMA foreign_keys = ON")
                yield db
        except sqlite3.OperationalError as exc:
            raise MetadataUnavailable(reason=str(exc)) from exc


def _model(db: sqlite3.Connection, model: int) -> FederatedModel:
    row = db.execute("SELECT * FROM models WHERE id = ?", [model]).fetchone()
    if row is None:
        raise ModelMissing(model=model)
    clients = db.execute("SELECT client FROM clients WHERE model = ?", [model])
    return FederatedModel(
        id=row["id"],
        aggregator=row["aggregator"],
        requirement=row["requirement"],
        arguments=tuple(json.loads(row["arguments"])),
        furthest_base=row["furthest_base"],
        clients=frozenset(found["client"] for found in clients),
        active=bool(row["active"]),
    )


def _waiting(db: sqlite3.Connection, model: int) -> list[ModelUpdate]:
    aggregates = db.execute("SELECT id FROM aggregates WHERE model = ? ORDER BY id DESC", [model])
    line = [row["id"] for row in aggregates]
    rows = db.execute("SELECT * FROM updates WHERE model = ? AND state = 'waiting' ORDER BY id", [model])
    return [
        ModelUpdate(id=row["id"], client=row["client"], data=row["data"], staleness=_staleness(row["base"], line))
        for row in rows
    ]


def _staleness(base: int | None, line: list[int]) -> int | None:
    if not line:
        return 0
    return line.index(base) if base in line else None


def _expire(db: sqlite3.Connection, model: int, now: datetime) -> None:
    """Let the updates of a run that died wait again."""
    if db.execute("DELETE FROM runs WHERE model = ? AND until <= ?", [model, now.timestamp()]).rowcount:
        reason = "The run that had this update ended half-way."
        sql = "UPDATE updates SET state = 'waiting', reason = ? WHERE model = ? AND state = 'claimed'"
        db.execute(sql, [reason, model])


def _check_held(db: sqlite3.Connection, claim: Claim, now: datetime) -> None:
    _expire(db, claim.model, now)
    if db.execute("SELECT 1 FROM runs WHERE run = ?", [claim.run]).fetchone() is None:
        raise ClaimLost(model=claim.model)


def _set(db: sqlite3.Connection, claim: Claim, old: str, new: str, reason: str) -> int:
    """Move the claim's updates that are in state ``old``; how many there were."""
    sql = "UPDATE updates SET state = ?, reason = ? WHERE id = ? AND state = ?"
    return sum(db.execute(sql, [new, reason, update.id, old]).rowcount for update in claim.updates)
