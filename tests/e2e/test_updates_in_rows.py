"""Small updates are kept in their rows and counted together: kill -9 while that happens, and each still counts once."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import httpx
import psycopg
import pytest
from tests.chaos.peace import made_of
from tests.e2e.driver import Study, model
from tests.e2e.service import Apart, until

BODY = model(500)
NAMES = tuple(f"p{number:02}" for number in range(12))
ROUNDS = 4
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


def while_they_gather(hand_ins, study, database, strike):
    """One waits for the database, the others for that one."""
    with database.locked():
        hand_ins.begin()
        assert database.count(study, 1) == 0
        strike()


def once_committed(count, hand_ins, study, database, strike):
    """Some have been acknowledged, some are committed and do not know it, some are not even that."""
    number = study.parties[0].next()["round"]
    with database.locked():
        hand_ins.begin()
    until(lambda: database.count(study, number) >= count, what=f"{count} updates are committed")
    strike()


def while_they_are_folded(hand_ins, gate, strike):
    gate.close()
    hand_ins.begin()
    gate.wait_until_reached()
    strike()
    gate.open()


def train(study, database, gate, strike_web, strike_worker):
    """The receipts of each round, of which each is disturbed in its own way."""
    disturbed = {
        1: lambda hand_ins: while_they_gather(hand_ins, study, database, strike_web),
        2: lambda hand_ins: once_committed(1, hand_ins, study, database, strike_web),
        3: lambda hand_ins: once_committed(len(NAMES), hand_ins, study, database, strike_web),
        4: lambda hand_ins: while_they_are_folded(hand_ins, gate, strike_worker),
    }
    receipts = {}
    for number, disturb in disturbed.items():
        hand_ins = HandIns(study, number)
        disturb(hand_ins)
        receipts[number] = hand_ins.receipts()
    until(lambda: study.project()["state"] == "finished", within_s=30, what="the project is finished")
    return receipts


def check(study, receipts):
    """Each acknowledged update is counted once, in its round; the models are what the strategy makes of them."""
    for number, given in receipts.items():
        counted = [(u["participant"], u["id"], u["digest"]) for u in study.updates(number)]
        assert sorted(counted) == sorted((name, r["id"], r["digest"]) for name, r in given.items())
    assert study.digests() == made_of(BODY, NAMES, ROUNDS)


def begun(service, gate, key):
    study = Study(
        service,
        key,
        body=BODY,
        strategy="gated",
        urls=getattr(service, "urls", None),
        minimum=len(NAMES),
        rounds=ROUNDS,
    )
    for name in NAMES:
        study.join(name)
    return study


def test_updates_that_are_counted_together_survive_the_death_of_those_who_count(service, gate, key):
    study = begun(service, gate, key)

    receipts = train(study, Sqlite(service), gate, lambda: service.kill("web"), lambda: service.kill("worker"))

    check(study, receipts)
    assert not [blob for blob in service.blobs("projects/") if "updates" in blob]  # they were in their rows


@pytest.mark.chaos
@pytest.mark.timeout(600)
def test_the_same_with_two_replicas_on_postgresql(tmp_path, gate, key, postgresql_database):
    service = Apart(tmp_path / "data", webs=2, workers=2, **gate.environment, FOEDUS_DATABASE_URL=postgresql_database)
    with service:
        study = begun(service, gate, key)

        def strike_web():
            service.kill("web", 0)
            service.launch("web", 0)

        def strike_worker():
            service.kill("worker", gate.worker_of(service))

        receipts = train(study, Postgresql(postgresql_database), gate, strike_web, strike_worker)

        check(study, receipts)
