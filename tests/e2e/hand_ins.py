"""Many updates on their way at the same time, and the database that they wait for, which a test may lock."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import httpx
import psycopg

_COUNT = (
    "SELECT count(*) FROM learning_update u JOIN learning_round r ON r.id = u.round_id"
    " JOIN learning_project p ON p.id = r.project_id WHERE p.key = {0} AND r.number = {0}"
)


class Sqlite:
    def __init__(self, service):
        self._path = service.data / "foedus.sqlite3"

    @contextmanager
    def locked(self):
        """Nobody writes for the time of the block."""
        with closing(sqlite3.connect(self._path, isolation_level=None, timeout=10)) as database:
            database.execute("BEGIN IMMEDIATE")
            yield
            database.execute("ROLLBACK")

    def count(self, study, number):
        """How many updates of the round are committed."""
        with closing(sqlite3.connect(self._path, timeout=10)) as database:
            return database.execute(_COUNT.format("?"), (study.key, number)).fetchone()[0]


class Postgresql:
    def __init__(self, url):
        self._url = url

    @contextmanager
    def locked(self):
        with psycopg.connect(self._url) as database:
            database.execute("LOCK TABLE learning_update, learning_invitation, learning_project IN EXCLUSIVE MODE")
            yield
            database.rollback()

    def count(self, study, number):
        with psycopg.connect(self._url, autocommit=True) as database:
            return database.execute(_COUNT.format("%s"), (study.key, number)).fetchone()[0]


class HandIns:
    """One update of each participant, all on their way at the same time, each tried once."""

    def __init__(self, study, number):
        self._number = number
        for party in study.parties:
            party.next()
        self._bodies = {party: party.trained(party.task()) for party in study.parties}
        self._pool = ThreadPoolExecutor(len(self._bodies))
        self._begun = threading.Barrier(len(self._bodies) + 1)
        self._calls = {party: self._pool.submit(self._offer, party) for party in self._bodies}

    def begin(self):
        self._begun.wait()

    def receipts(self):
        """By participant; who heard nothing asks until he does. What was acknowledged before must be said again."""
        first = {party: call.result(60) for party, call in self._calls.items()}
        self._pool.shutdown()
        again = {party: party.hand_in(self._number, body) for party, body in self._bodies.items()}
        for party, answer in again.items():
            known = first[party]
            assert answer.status_code == 200 or (answer.status_code == 201 and known is None), answer.text
            assert known in (None, answer.json())
        return {party.name: answer.json() for party, answer in again.items()}

    def _offer(self, party):
        self._begun.wait()
        try:
            answer = party.offer(self._number, self._bodies[party])
        except httpx.TransportError:
            return None
        assert answer.status_code == 201, answer.text
        return answer.json()
