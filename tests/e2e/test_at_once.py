"""What comes many times at the same moment happens once, whoever is killed; many who wait are woken by one event."""

import re
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from tests.chaos.peace import made_of
from tests.e2e.driver import PREFIX, Api, Study, model
from tests.e2e.hand_ins import HandIns, Postgresql, Sqlite
from tests.e2e.service import Apart, Serve, until

BODY = model()
NAMES = tuple(f"p{number:02}" for number in range(12))
ROUNDS = 4


WEB_PROCESSES = 2 if sys.platform == "linux" else 1


@pytest.fixture(scope="module")
def service(tmp_path_factory, gate):
    """With several web processes: what comes at once comes to all of them."""
    data = tmp_path_factory.mktemp("service") / "data"
    with Serve(data, **gate.environment, FOEDUS_WEB_PROCESSES=str(WEB_PROCESSES)) as running:
        yield running


@pytest.fixture
def study(service, key):
    return Study(service, key, body=BODY, minimum=1)


def at_once(calls):
    """The results of the calls, begun together."""
    barrier = threading.Barrier(len(calls))

    def begin(call):
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(begin, call) for call in calls]]


@pytest.mark.skipif(WEB_PROCESSES == 1, reason="only Linux deals connections out")
def test_connections_are_dealt_out_among_the_web_processes(service):
    answered = set()

    def is_seen():
        page = httpx.get(f"{service.url}/metrics", headers={"Authorization": f"Bearer {service.token}"}).text
        answered.update(re.findall(r'process="(.*?)"', page))
        return len(answered) == WEB_PROCESSES

    until(is_seen, what="each has answered something")
    assert answered == {"web", "web-2"}


def test_one_update_sent_twenty_times_at_once_counts_once(service, study):
    party = study.join("ada")
    party.task()
    body = party.trained({"round": 1})

    answers = at_once([lambda: party.offer(1, body)] * 20)

    assert sorted(answer.status_code for answer in answers) == [200] * 19 + [201]
    assert len({answer.text for answer in answers}) == 1
    assert len(study.updates(1)) == 1
    assert service.scratch == []


def test_twenty_contents_for_one_round_at_once_count_once(service, study):
    party = study.join("ada")
    party.task()
    bodies = [model(value=float(number)) for number in range(20)]

    answers = at_once([lambda body=body: party.offer(1, body) for body in bodies])

    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} <= {"replayed", "late"}
    assert len(study.updates(1)) == 1


def test_one_key_lets_one_of_eight_in_that_come_at_once(service, study):
    key = study.keys()[0]
    people = [Api(service.url) for _ in range(8)]

    answers = at_once([lambda api=api: api.call("POST", "/enrol", json={"key": key}) for api in people])

    assert sorted(answer.status_code for answer in answers) == [201] + [403] * 7
    assert len(study.operator.get(f"{study.path}/participants")["items"]) == 1


def test_eight_enrolments_of_one_client_at_once_are_one(service, study):
    fields = {"key": study.keys()[0], "secret": "s" * 43}
    people = [Api(service.url) for _ in range(8)]

    answers = at_once([lambda api=api: api.call("POST", "/enrol", json=fields) for api in people])

    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert len({answer.json()["token"] for answer in answers}) == 1


def test_keys_that_expired_and_tokens_that_were_revoked_open_nothing(service, study):
    expired = study.keys(expires_in_s=0.001)[0]
    token = study.operator.post("/credentials", name="short")
    colleague = Api(service.url, token=token["token"])
    assert colleague.call("GET", study.path).status_code == 200

    study.operator.call("DELETE", f"/credentials/{token['id']}")

    assert Api(service.url).call("POST", "/enrol", json={"key": expired}).status_code == 401
    assert colleague.call("GET", study.path).status_code == 401
    assert study.operator.get(f"{study.path}/participants")["items"] == []


@pytest.mark.parametrize("count", [100, pytest.param(300, marks=pytest.mark.slow)])
def test_many_who_wait_are_woken_by_the_start_of_a_round(service, key, count):
    study = Study(service, key, body=BODY, minimum=count, ratio=1.0)
    secrets = [f"{number:043d}" for number in range(count)]
    keys = study.keys(count)
    enrolling = Api(service.url)
    tokens = [
        enrolling.call("POST", "/enrol", json={"key": key, "secret": secret}).json()["token"]
        for key, secret in zip(keys, secrets, strict=True)
    ]
    path = f"{service.url}{PREFIX}{study.path}/next?wait=60"
    *early, latest = tokens
    with (
        httpx.Client(timeout=90, limits=httpx.Limits(max_connections=count)) as client,
        ThreadPoolExecutor(count) as pool,
    ):

        def wait(token):
            return client.get(path, headers={"Authorization": f"Bearer {token}"}).json()

        polls = [pool.submit(wait, token) for token in early]
        until(lambda: connected(study) == len(early), within_s=30, what="all but one wait")
        began = time.monotonic()
        polls.append(pool.submit(wait, latest))
        answers = [poll.result() for poll in polls]
        seconds = time.monotonic() - began

    assert {(answer["task"], answer.get("round")) for answer in answers} == {("train", 1)}
    assert study.round(1)["invited"] == count
    assert seconds < 10


def connected(study):
    """How many participants the project says are there and ready."""
    (reason, *_) = study.project()["reasons"]
    return reason["facts"].get("connected")


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
