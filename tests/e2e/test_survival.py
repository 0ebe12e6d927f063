"""Kill -9 at every step of a round: the same round goes on, and ends in the very bytes of a run without a kill."""

import contextlib
import sqlite3
import threading
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from tests.e2e.driver import Study, model
from tests.e2e.service import until

BODY = model(20_000)  # too large for a row of the database: it is stored before its row is
NAMES = ("ada", "bea", "cyd")
POINTS = ("enrolling", "invited", "uploading", "stored", "acknowledged", "waiting", "combining", "switching")


@dataclass
class Victim:
    """What is killed, by ``kill``; ``revive`` starts what nobody else starts again."""

    service: Any
    gate: Any
    role: str

    def kill(self):
        if self.role == "tree":
            self.service.kill_all()
        elif self.role:
            self.service.kill(self.role)

    def revive(self):
        if self.role == "tree":
            self.service.start()

    def strike(self):
        self.kill()
        self.revive()


def train(study, victim, points):
    """One round for each of ``points``; ``victim`` is struck there. Gives the receipts by round."""
    receipts = {}
    for number, point in enumerate(points, 1):
        if number == 1:
            enrol(study, victim if point == "enrolling" else None)
        for party in study.parties:
            party.next()
        tasks = {party: party.task() for party in study.parties}
        assert {task["round"] for task in tasks.values()} == {number}
        *first, last = study.parties
        receipts[number] = [accepted(p.hand_in(number, p.trained(tasks[p]))) for p in first]
        body = last.trained(tasks[last])
        receipts[number].append(accepted(LAST_UPDATES[point](victim, last, number, body)))
    outcome = until(lambda: finished(study), what="the project is finished")
    assert outcome["state"] == "finished"
    return receipts


def enrol(study, victim):
    for name in NAMES:
        study.join(name)
        if victim:
            victim.strike()


def finished(study):
    project = study.project()
    return project if project["state"] != "running" else None


def accepted(answer):
    assert answer.status_code in (200, 201), answer.text
    return answer.json()


def after_enrolling(_victim, party, number, body):
    return party.hand_in(number, body)


def after_invitation(victim, party, number, body):
    victim.strike()
    return party.hand_in(number, body)


def while_uploading(victim, party, number, body):
    struck = []

    def halves():
        yield body[: len(body) // 2]
        if not struck:
            struck.append(True)
            victim.strike()
        yield body[len(body) // 2 :]

    answer = party.hand_in(number, body, content=halves)
    assert struck
    return answer


def before_the_row(victim, party, number, body):
    """The bytes are stored and the row waits for the database."""
    before = set(victim.service.blobs("projects/"))  # not their number: those of earlier rounds go meanwhile
    with locked(victim.service), offering(party, number, body) as offer:
        until(lambda: set(victim.service.blobs("projects/")) - before, what="the update's bytes are stored")
        victim.kill()
    victim.revive()
    offer.join(20)
    names = [update["participant"] for update in party.study.updates(number)]
    # Not counted, unless the process that is in the middle of it still lives.
    assert (party.name in names) == (not offer.is_broken)
    return party.hand_in(number, body)


def after_the_receipt(victim, party, number, body):
    answer = party.hand_in(number, body)
    victim.strike()
    again = party.hand_in(number, body)
    assert (again.status_code, again.json()) == (200, answer.json())
    return answer


def before_combining(victim, party, number, body):
    with victim.service.paused("worker"):
        answer = party.hand_in(number, body)
        victim.strike()
    return answer


def while_combining(victim, party, number, body):
    victim.gate.close()
    answer = party.hand_in(number, body)
    victim.gate.wait_until_reached()
    victim.strike()
    victim.gate.open()
    return answer


def before_the_switch(victim, party, number, body):
    """The checkpoint is stored and the switch waits for the database."""
    victim.gate.close()
    answer = party.hand_in(number, body)
    victim.gate.wait_until_reached()
    before = set(victim.service.blobs("projects/"))  # not their number: those of earlier rounds go meanwhile
    with locked(victim.service):
        victim.gate.open()
        until(lambda: set(victim.service.blobs("projects/")) - before, what="the checkpoint is stored")
        victim.kill()
    victim.revive()
    return answer


LAST_UPDATES = dict(
    zip(
        POINTS,
        (
            after_enrolling, after_invitation, while_uploading, before_the_row,
            after_the_receipt, before_combining, while_combining, before_the_switch,
        ),
        strict=True,
    )
)  # fmt: skip


@contextlib.contextmanager
def locked(service):
    """Nobody writes to the service's database for the time of the block."""
    database = sqlite3.connect(service.data / "foedus.sqlite3", isolation_level=None, timeout=10)
    try:
        database.execute("BEGIN IMMEDIATE")
        yield
        database.execute("ROLLBACK")
    finally:
        database.close()


class Offering(threading.Thread):
    """An update on its way, from another thread."""

    def __init__(self, party, number, body):
        super().__init__(daemon=True)
        self._call = lambda: party.offer(number, body)
        self.is_broken = False

    def run(self):
        try:
            self._call()
        except httpx.TransportError:
            self.is_broken = True


@contextlib.contextmanager
def offering(party, number, body):
    offer = Offering(party, number, body)
    offer.start()
    yield offer


@pytest.fixture(scope="module")
def undisturbed(service, gate):
    """The digests of every checkpoint of a run that nothing happens to."""
    study = Study(service, "undisturbed", body=BODY, strategy="gated", minimum=len(NAMES), rounds=len(POINTS))
    train(study, Victim(service, gate, ""), ["invited"] * len(POINTS))
    return study.digests()


def check_whole(study, receipts, digests):
    """Everything acknowledged was counted, once, in its round; and the models are those of the other run."""
    assert study.digests() == digests
    assert [r["phase"] for r in study.operator.get(f"{study.path}/rounds")["items"]] == ["complete"] * len(receipts)
    for number, given in receipts.items():
        updates = study.updates(number)
        assert sorted(u["participant"] for u in updates) == sorted(party.name for party in study.parties)
        assert {(u["id"], u["digest"]) for u in updates} == {(r["id"], r["digest"]) for r in given}


CASES = [
    ("web", POINTS),
    ("worker", ("enrolling", "invited", "waiting", "combining", "switching")),  # which has the clock
    ("tree", ("uploading", "stored", "combining")),
]


# The storms of tests/chaos kill everything at once, too.
@pytest.mark.parametrize(
    ("role", "points"),
    [pytest.param(*case, id=case[0], marks=[pytest.mark.slow] if case[0] == "tree" else []) for case in CASES],
)
def test_a_round_survives_the_death_of_a_process(service, gate, undisturbed, key, role, points):
    study = Study(service, key, body=BODY, strategy="gated", minimum=len(NAMES), rounds=len(points))

    receipts = train(study, Victim(service, gate, role), points)

    check_whole(study, receipts, undisturbed[: len(points) + 1])


@pytest.mark.chaos
@pytest.mark.parametrize("role", ["worker", "tree"])
def test_a_round_survives_the_death_of_a_process_at_every_step(service, gate, undisturbed, key, role):
    study = Study(service, key, body=BODY, strategy="gated", minimum=len(NAMES), rounds=len(POINTS))

    receipts = train(study, Victim(service, gate, role), POINTS)

    check_whole(study, receipts, undisturbed)
