"""The same thing many times at the same moment happens once; and many who wait are woken by one event."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from tests.e2e.driver import PREFIX, Api, Study, model
from tests.e2e.service import until

BODY = model()


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
