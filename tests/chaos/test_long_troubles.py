"""What a storm does for a second, done for longer than any lease or pause, and just where it hurts; with real parts."""

import contextlib
import os
import signal
import time

import pytest
from tests.chaos.disk import Disk, NoDiskError
from tests.chaos.peace import made_of
from tests.chaos.players import NAMES
from tests.e2e.driver import RECOVERY_S, Api, Study, model
from tests.e2e.gate import Gate
from tests.e2e.service import Apart, DiedError, Serve, until
from tests.servers.nats import NatsMissingError, nats_server
from tests.servers.postgresql import PostgresqlMissingError, postgresql_cluster
from tests.servers.proxy import proxy

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

SMALL, LARGE, HUGE = model(500), model(20_000), model(300_000)  # in rows; as blobs; through a scratch file to a blob
LONG_S = 20.0  # pauses that double without end are then twice as long as a recovery may take
PATIENCE_S = 3 * RECOVERY_S  # on a machine that has other things to do


@pytest.fixture(autouse=True)
def _connections():
    yield
    Api.close_all()


@pytest.fixture
def gate(tmp_path):
    return Gate(tmp_path)


def begun(service, body=SMALL, rounds=3):
    """A study of three participants, whose rounds all of them must take part in."""
    study = Study(
        service, "study", body=body, strategy="gated", minimum=len(NAMES), rounds=rounds,
        urls=getattr(service, "urls", None), heartbeat_timeout_s=1e6, deadline_s=1e6,
    )  # fmt: skip
    for name in NAMES:
        study.join(name)
    return study


def tasks_of(study):
    for party in study.parties:
        party.next()
    return {party: party.task(within_s=PATIENCE_S) for party in study.parties}


def hand_in_all(study, number):
    for party, task in tasks_of(study).items():
        assert party.hand_in(number, party.trained(task)).status_code == 201


def wait_for(study, number, within_s=PATIENCE_S):
    until(lambda: study.round(number)["phase"] == "complete", within_s=within_s, what=f"round {number} is complete")


def play(study, *numbers):
    for number in numbers:
        hand_in_all(study, number)
        wait_for(study, number)


def check(study, body, rounds=3):
    """All is as if nothing had been: each update counted once, each model the strategy's."""
    until(lambda: study.project()["state"] == "finished", what="the project is finished")
    assert study.digests() == made_of(body, NAMES, rounds)
    for number in range(1, rounds + 1):
        assert sorted(u["participant"] for u in study.updates(number)) == sorted(NAMES)


@contextlib.contextmanager
def a_disk(folder):
    try:
        disk = Disk(folder)
    except NoDiskError as exc:
        pytest.skip(str(exc))
    with contextlib.closing(disk):
        yield disk


def says(program, event, *, after=0):
    """Waits until a line of its log tells of such an event."""
    program.wait_for(lambda line: f'"event": "{event}"' in line, after=after, timeout_s=PATIENCE_S)


def test_a_worker_that_stood_still_beyond_its_lease_publishes_nothing(tmp_path, gate, postgresql_database):
    """Another one combines the same round meanwhile; who comes back is too late, and works on."""
    service = Apart(tmp_path / "data", webs=2, workers=2, **gate.environment, FOEDUS_DATABASE_URL=postgresql_database)
    with service:
        study = begun(service)
        gate.close()
        hand_in_all(study, 1)
        gate.wait_until_reached()
        stalled = gate.worker_of(service)
        os.kill(service.programs["worker", stalled].pid, signal.SIGSTOP)
        wait_for(study, 1)
        play(study, 2)

        gate.open()
        os.kill(service.programs["worker", stalled].pid, signal.SIGCONT)
        says(service.programs["worker", stalled], "job.lost")
        service.kill("worker", 1 - stalled)
        play(study, 3)

        check(study, SMALL)


def test_rounds_go_on_without_a_bus_though_everybody_is_started_anew(tmp_path, gate):
    with contextlib.ExitStack() as stack:
        try:
            bus = stack.enter_context(nats_server(tmp_path / "nats"))
        except NatsMissingError as exc:
            pytest.skip(str(exc))
        service = stack.enter_context(Apart(tmp_path / "data", **gate.environment, FOEDUS_BUS_URL=bus.url))
        study = begun(service)
        bus.stop()
        play(study, 1)
        for role in ("web", "worker", "clock"):
            service.kill(role)
            service.begin(role)
        play(study, 2)
        bus.start()
        play(study, 3)

        check(study, SMALL)


def test_a_store_that_was_away_for_long_is_used_soon_after_it_is_back(tmp_path, gate, s3_endpoint):
    """It goes while the updates of a round are read."""
    import boto3

    boto3.client("s3", endpoint_url=s3_endpoint).create_bucket(
        Bucket="troubles", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    with proxy(int(s3_endpoint.rpartition(":")[2])) as wire:
        address = f"s3://troubles?endpoint=http://127.0.0.1:{wire.port}"
        with Serve(tmp_path / "data", **gate.environment, FOEDUS_BLOBS_URL=address) as service:
            study = begun(service, LARGE)
            gate.close()
            hand_in_all(study, 1)
            gate.wait_until_reached()
            wire.shut = True
            wire.reset()
            gate.open()
            time.sleep(LONG_S)
            says(service.program, "job.postponed")

            wire.shut = False
            wait_for(study, 1, RECOVERY_S)
            play(study, 2, 3)

            check(study, LARGE)


@pytest.mark.parametrize("body", [SMALL, LARGE], ids=["rows", "blobs"])
def test_nothing_is_lost_on_a_disk_that_is_full(tmp_path, gate, body):
    """Database, log of the database, blobs and scratch files are all on it."""
    with a_disk(tmp_path / "disk") as disk, Serve(disk.path, **gate.environment) as service:
        study = begun(service, body)
        gate.close()
        hand_in_all(study, 1)
        gate.wait_until_reached()
        with disk.full():
            gate.open()
            time.sleep(LONG_S)
            assert study.round(1)["phase"] == "combining"
        wait_for(study, 1)

        tasks = tasks_of(study)
        last = study.parties[-1]
        for party in study.parties[:-1]:
            assert party.hand_in(2, party.trained(tasks[party])).status_code == 201
        with disk.full():
            answer = last.offer(2, last.trained(tasks[last])).status_code
        assert answer in ((503,) if body is LARGE else (201, 503))  # the database may have room left in its files
        assert last.hand_in(2, last.trained(tasks[last])).status_code == (201 if answer == 503 else 200)
        wait_for(study, 2)
        play(study, 3)

        check(study, body)


def test_scratch_files_that_cannot_be_written_are_waited_for(tmp_path, gate):
    with a_disk(tmp_path / "data" / "scratch") as disk:
        service = Serve(tmp_path / "data", **gate.environment)
        service.prefix = disk.prefix
        with service:
            study = begun(service, HUGE)
            tasks = tasks_of(study)
            first = study.parties[0]
            with disk.read_only():
                assert first.offer(1, first.trained(tasks[first])).status_code == 503
            gate.close()
            hand_in_all(study, 1)
            gate.wait_until_reached()
            with disk.read_only():
                gate.open()
                says(service.program, "job.postponed")
            wait_for(study, 1)
            play(study, 2, 3)

            check(study, HUGE)


def test_a_folder_that_is_read_only_at_the_start_is_said_and_costs_nothing(tmp_path, gate):
    with a_disk(tmp_path / "disk") as disk, Serve(disk.path, **gate.environment) as service:
        study = begun(service)
        play(study, 1)
        service.kill_all()
        with disk.read_only(), pytest.raises(DiedError, match=r"(?i)read-?only"):
            service.start()
        service.start()
        play(study, 2, 3)

        check(study, SMALL)


def test_a_database_that_dies_under_the_switch_has_all_or_nothing_of_it(tmp_path, gate):
    psycopg = pytest.importorskip("psycopg")
    with contextlib.ExitStack() as stack:
        try:
            cluster = stack.enter_context(postgresql_cluster(tmp_path / "postgresql"))
        except PostgresqlMissingError as exc:
            pytest.skip(str(exc))
        service = Apart(tmp_path / "data", **gate.environment, FOEDUS_DATABASE_URL=cluster.url)
        study = begun(stack.enter_context(service))
        for number in (1, 2):
            gate.close()
            hand_in_all(study, number)
            gate.wait_until_reached()
            with contextlib.suppress(psycopg.OperationalError), psycopg.connect(cluster.url) as other:
                other.execute("SELECT * FROM learning_project FOR UPDATE")
                gate.open()
                until(lambda: in_line(cluster.url), within_s=PATIENCE_S, what="the switch waits for its lock")
                cluster.stop()
            cluster.start()
            wait_for(study, number)
        play(study, 3)

        check(study, SMALL)


def in_line(url):
    import psycopg

    with psycopg.connect(url, autocommit=True) as looker:
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        return looker.execute(waiting).fetchone()[0]
