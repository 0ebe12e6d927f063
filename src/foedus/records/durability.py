"""Transactions that need not wait for the disk."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction


@contextmanager
def unsynced() -> Iterator[None]:
    """A transaction that a power cut may take back, together with the unsynced ones after it; no crash of a process.

    For what the next process finds out anyway: who is alive, and who does a job. The next synced transaction makes it
    last as well. Within another transaction it is a part of that one, and as durable.
    """
    if connection.in_atomic_block:
        with transaction.atomic():
            yield
    elif connection.vendor == "sqlite":
        with _without_waiting(), transaction.atomic():
            yield
    else:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL synchronous_commit TO off")
            yield


@contextmanager
def _without_waiting() -> Iterator[None]:
    """With its journal written ahead, SQLite waits for the disk at commits from level FULL (2) on."""
    connection.ensure_connection()
    opened = connection.connection
    (level,) = opened.execute("PRAGMA synchronous").fetchone()
    if level < 2:
        yield
        return
    opened.execute("PRAGMA synchronous=NORMAL")
    try:
        yield
    finally:
        if connection.connection is opened:  # otherwise it broke, and the next one begins as all do
            opened.execute(f"PRAGMA synchronous={level}")
