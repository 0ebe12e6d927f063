"""The node dies at every step of a purchase, one after the other, and starts again: nothing is lost or paid twice.

Steps are what lasts: every statement that writes to the database (death comes before it) and every call of a ledger, a
place for programs or a blob store (death comes after it, before anybody has heard of it). Parties ask again until they
are answered, as the published clients do.
"""

import json
import threading
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from datetime import timedelta
from io import BytesIO

import numpy as np
import pytest
from django.db import connection, transaction
from django.utils import timezone
from tests.faces.nevermined.test_sessions import load, result
from tests.markets import coordinator, metadata, offer, participant, signed
from tests.node_market import CONSUMER, OWNER, Market, balances

from foedus.connectors.ledger.local.ledger import LocalLedger
from foedus.core.errors import Conflict
from foedus.core.market.dids import Did
from foedus.faces.nevermined.limits import MARKET
from foedus.ports.compute import Output, Phase, Run, RunMissing
from foedus.records.market.models import Asset, Execution, Purchase
from foedus.records.shell.models import Job
from foedus.server import work
from foedus.services.market import agreements, catalogue, executions, leading, results
from foedus.services.market.agreements import OrderOffer
from foedus.services.market.catalogue import STRICT
from foedus.services.market.deciding import SessionLost, SessionOver
from foedus.services.market.executions import StartRun
from foedus.services.market.leading import Place
from foedus.services.market.parties import ANYBODY
from foedus.services.shell import jobs

pytestmark = pytest.mark.django_db
WRITES = ("INSERT", "UPDATE", "DELETE")
PAID = [988, 10, 2]


class Killed(BaseException):
    """As a process that is killed: nobody catches it, and nothing is tidied up but what the database does itself."""


class Fate:
    """Which step of this thread is the last; ``steps`` so far. 0: it lives."""

    def __init__(self, last):
        self.last, self.steps, self.thread = last, 0, threading.get_ident()

    def step(self):
        if threading.get_ident() == self.thread:
            self.steps += 1
            if self.steps == self.last:
                raise Killed

    def before_writing(self, execute, sql, params, many, context):
        if sql.startswith(WRITES):
            self.step()
        return execute(sql, params, many, context)


class Mortal:
    """A port whose caller may die as soon as a call has taken effect."""

    def __init__(self, port, fate):
        self._port, self._fate = port, fate

    def __getattr__(self, name):
        found = getattr(self._port, name)

        def call(*arguments, **named):
            answer = found(*arguments, **named)
            self._fate.step()
            return answer

        return call


class InstantCompute:
    """Programs end as they are started, and what they leave is what they were given; all of it outlives the node."""

    def __init__(self):
        self.runs, self.starts, self.phase = {}, 0, Phase.SUCCEEDED

    def start(self, job):
        if job.id not in self.runs:
            self.starts += 1
            now = timezone.now()
            files = {each.name: each.path.read_bytes() for each in job.inputs}
            self.runs[job.id] = Run(id=job.id, phase=self.phase, started_at=now, finished_at=now), files
        return self.find(job.id)

    def find(self, run):
        if run not in self.runs:
            raise RunMissing(run=run)
        return self.runs[run][0]

    def wait(self, run, timeout_s):
        return self.find(run)

    def log(self, run, *, after=0, limit=1000):
        return ["a line"] if self.find(run) else []

    def outputs(self, run):
        self.find(run)
        return iter([Output(name, len(body)) for name, body in self.runs[run][1].items()])

    def open(self, run, name):
        return nullcontext(BytesIO(self.runs[run][1][name]))

    def remove(self, run):
        self.runs.pop(run, None)


class Node:
    """A node that may die, what outlives it, and the parties who deal with it."""

    def __init__(self, market):
        self.market, self.kept = market, market.ports
        self.fate = Fate(0)

    @contextmanager
    def alive(self):
        """As started, with connectors of its own."""
        fate = self.fate
        self.ports = replace(
            self.kept, ledger=Mortal(LocalLedger(1.0), fate), compute=Mortal(self.kept.compute, fate),
            blobs=Mortal(self.kept.blobs, fate),
        )  # fmt: skip
        with connection.execute_wrapper(fate.before_writing):
            yield

    def until_done(self, step):
        """What ``step`` gives, asked as often as the node dies."""
        while True:
            try:
                with self.alive():
                    return step()
            except Killed:
                self.fate = Fate(0)  # once is enough
                Job.objects.filter(state=Job.State.RUNNING).update(lease_until=timezone.now() - timedelta(seconds=1))

    def publish(self, document):
        def step():
            with suppress(Conflict):  # it is there already
                catalogue.publish(ANYBODY, document, now=self.market.now)
            return document.did

        return self.until_done(step)

    def order(self, did, seed):
        command = OrderOffer(did=did, seed=seed)
        return self.until_done(
            lambda: agreements.order(self.ports, self.market.consumer, command, now=self.market.now).purchase.agreement
        )

    def execute(self, agreement, workflow):
        command = StartRun(party=self.market.consumer, agreement=agreement, workflow=workflow)

        def step():
            with suppress(Conflict):  # it is under way, or had already
                executions.start(self.ports, command, now=self.market.now)
            return Purchase.objects.get(agreement=agreement).executions.get()

        return self.until_done(step)

    def download(self, did, index=0):
        _, _, body = results.opened(self.kept, self.market.consumer, did, index)
        return b"".join(body)


@pytest.fixture
def node(ports):
    MARKET.configure(0, STRICT)
    market = Market(replace(ports, ledger=LocalLedger(1.0), compute=InstantCompute()))
    return Node(market)


def in_escrow(node):
    network = node.kept.ledger.network()
    return node.kept.ledger.balance(network.contracts.escrow, network.token)


def check(node, execution):
    """It succeeded once, was paid for once, and what it left is the consumer's, who can have it."""
    execution.refresh_from_db()
    assert (execution.state, execution.is_settled, execution.reason) == ("Succeeded", True, "")
    assert (balances(node.market), in_escrow(node)) == (PAID, 0)
    assert Asset.objects.get(did=execution.output).owner == CONSUMER.address
    assert (Execution.objects.count(), Purchase.objects.count(), Job.objects.count()) == (1, 1, 0)


def at_every_step(node, play, stride):
    """Play it once in peace, then once for each of its steps (every so many), as if the others had never been."""
    last = steps = 0
    while last <= steps:
        point = transaction.savepoint()
        node.fate = fate = Fate(last)
        play()
        steps = steps or fate.steps
        assert (node.fate is fate) == (last == 0)
        transaction.savepoint_rollback(point)
        last += stride
    return steps


# Steps that are this far apart are enough to see that nothing broke; the slow ones take them all.
strides = pytest.mark.parametrize("stride", [19, pytest.param(1, marks=[pytest.mark.slow, pytest.mark.timeout(500)])])


def plan(node):
    about = participant(str(node.market.data), algorithm=str(node.market.program))
    stage = about["attributes"]["main"]["workflow"]["stages"][0]
    stage.update({"stageType": "Filtering", "output": {"metadataUrl": "x"}})
    return signed(CONSUMER, about)


@strides
def test_a_run_survives_the_death_of_its_node_at_every_step(node, stride):
    workflow = plan(node)

    def play():
        before = node.kept.compute.starts
        execution = node.execute(node.order(node.market.data, b"\5" * 32), node.publish(workflow))
        node.until_done(lambda: work.do_due(node.ports, timezone.now()))
        check(node, execution)
        assert node.kept.compute.starts - before == 1
        assert node.download(Did.parse(f"did:nv:{execution.output}")) == b"1\n2\n3\n"

    assert at_every_step(node, play, stride) > 50


@strides
def test_a_run_that_fails_is_given_back_once_at_whatever_step_its_node_dies(node, stride):
    workflow = plan(node)
    node.kept.compute.phase = Phase.FAILED
    left = Asset.objects.count() + 1

    def play():
        execution = node.execute(node.order(node.market.data, b"\5" * 32), node.publish(workflow))
        node.until_done(lambda: work.do_due(node.ports, timezone.now()))
        execution.refresh_from_db()
        assert (execution.state, execution.is_settled, execution.output) == ("Failed", True, "")
        assert (balances(node.market), in_escrow(node)) == ([1000, 0, 0], 0)
        assert (Asset.objects.count(), Job.objects.count()) == (left, 0)

    assert at_every_step(node, play, stride) > 40


class Trainer:
    """Speaks to whoever leads the session, as a participant that outlives it and keeps its name; adds 1 each time."""

    def __init__(self):
        self.name = None

    @contextmanager
    def serving(self, conductor, ports):
        thread = threading.Thread(target=self.take_part, args=(conductor,), daemon=True)
        thread.start()
        yield 9000
        thread.join(10)

    def take_part(self, conductor):
        with suppress(SessionOver, SessionLost):
            while True:
                self.name = self.name or conductor.join("1" * 64)
                state, _ = conductor.hear("1" * 64, self.name)
                if state == "finish":
                    return
                if state == "reject":
                    self.name = None
                if state == "round":
                    self.train(conductor)

    def train(self, conductor):
        token = conductor.token_of("1" * 64, self.name)
        size, body = conductor.weights(conductor.enter("1" * 64, self.name, token))
        weights = load(b"".join(body)) + 1 if size else np.zeros(2)
        conductor.hand_in("1" * 64, self.name, token, [result(weights, 1)])


@strides
def test_a_session_survives_the_death_of_its_node_at_every_step(node, stride):
    led = node.market.publish(OWNER, offer("fl-coordinator"), metadata("compute", name="A place to lead sessions"))
    about = coordinator(rounds=3, minParticipants=1, participantsRatio=1.0, heartbeatTimeout=20, publishSession=True)
    workflow = signed(CONSUMER, about)

    def play():
        trainer = Trainer()
        place = Place(serve=trainer.serving, host="127.0.0.1", max_bytes=1000)

        def lead():
            while job := jobs.claim(timezone.now()):
                leading.lead(node.ports, job, place, now=timezone.now())

        execution = node.execute(node.order(led, b"\6" * 32), node.publish(workflow))
        node.until_done(lead)
        check(node, execution)
        model = Did.parse(f"did:nv:{execution.output}")
        np.testing.assert_array_equal(load(node.download(model)), [2.0, 2.0])
        assert [len(samples) for samples in json.loads(node.download(model, 1))["samples"]] == [1, 1, 1]

    assert at_every_step(node, play, stride) > 50
