"""Kill -9 at every step of an FMA aggregate: no update is lost, none counts twice, and those in between wait."""

import contextlib
import itertools
import socket
import threading

import httpx
import pytest
from tests.e2e.service import until

pytestmark = pytest.mark.timeout(240)

PENDING, RUNNING, COMPLETE = 0, 1, 2
NUMBERS = itertools.count()


class Job:
    """A federated model of two clients whose aggregates are made at the gate."""

    def __init__(self, service):
        self.service = service
        self.developer = {"Authorization": f"Token {service.token}"}
        wanted = {
            "name": f"job {next(NUMBERS)}", "developer": 1, "aggregator": "gated", "allow_aggregation": True,
            "initial_model": [0.0, 0.0], "requirement": "require_x_updates", "requirement_args": [2],
        }  # fmt: skip
        self.model = self.call("POST", "models/", json=wanted).json()["id"]
        self.client = {"CLIENT-UUID": self.call("POST", f"models/{self.model}/register_client/").json()["uuid"]}

    def call(self, method, path, headers=None, **more):
        answer = httpx.request(
            method, f"{self.service.url}/api/v1/{path}", headers=headers or self.developer, timeout=60, **more
        )
        answer.raise_for_status()
        return answer

    def send(self, number):
        body = {"federated_model": self.model, "data": [number, -number], "base_aggregate": None}
        return self.call("POST", "model_updates/", self.client, json=body).json()["id"]

    def statuses(self):
        return {
            row["id"]: row["status"] for row in self.call("GET", f"model_updates/?federated_model={self.model}").json()
        }

    def aggregates(self):
        rows = self.call("GET", f"model_aggregates/?federated_model={self.model}&ordering=created_on").json()
        return [self.call("GET", f"model_aggregates/{row['id']}/").json()["result"] for row in rows]

    def wait_for(self, n_aggregates):
        def found():
            with contextlib.suppress(httpx.TransportError):
                aggregates = self.aggregates()
                return aggregates if len(aggregates) >= n_aggregates else None
            return None

        return until(found, what=f"there are {n_aggregates} aggregates")


def strike(service, role):
    if role == "tree":
        service.restart()
    else:
        service.kill(role)


@pytest.fixture
def job(service):
    return Job(service)


def test_half_an_update_leaves_nothing_behind(service, job):
    first = job.send(1.0)
    head = (
        f"POST /api/v1/model_updates/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"CLIENT-UUID: {job.client['CLIENT-UUID']}\r\nContent-Length: 1000000\r\n\r\n"
        f'{{"federated_model": {job.model}, "data": [2.0, '
    )
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        connection.sendall(head.encode())
        service.kill("web")

    second = until(lambda: _accepted(job, 3.0), what="the service takes updates")

    assert job.wait_for(1) == [[2.0, -2.0]]
    assert job.statuses() == {first: COMPLETE, second: COMPLETE}


def test_an_update_that_was_acknowledged_counts_once(service, job):
    first = job.send(1.0)

    service.kill("web")
    second = until(lambda: _accepted(job, 3.0), what="the service takes updates")

    assert job.wait_for(1) == [[2.0, -2.0]]
    assert job.statuses() == {first: COMPLETE, second: COMPLETE}


@pytest.mark.parametrize("role", ["worker", "tree"])
def test_whoever_is_killed_while_an_aggregate_is_made_it_is_made_once(service, gate, job, role):
    gate.close()
    used = [job.send(1.0), job.send(3.0)]
    gate.wait_until_reached()
    assert job.statuses() == dict.fromkeys(used, RUNNING)
    late = job.send(7.0)
    assert job.statuses()[late] == PENDING

    strike(service, role)
    gate.open()
    first = job.wait_for(1)
    last = until(lambda: _accepted(job, 9.0), what="the service takes updates")

    assert first == [[2.0, -2.0]]
    assert job.wait_for(2) == [[2.0, -2.0], [8.0, -8.0]]
    assert job.statuses() == dict.fromkeys([*used, late, last], COMPLETE)


def test_killing_everybody_as_the_aggregate_is_switched_to_loses_nothing(service, gate, job):
    gate.close()
    used = [job.send(1.0), job.send(3.0)]
    gate.wait_until_reached()
    late = job.send(5.0)

    opener = threading.Thread(target=gate.open)
    opener.start()
    service.restart()
    opener.join()
    last = until(lambda: _accepted(job, 7.0), what="the service takes updates")

    assert job.wait_for(2) == [[2.0, -2.0], [6.0, -6.0]]
    assert job.statuses() == dict.fromkeys([*used, late, last], COMPLETE)


def _accepted(job, number):
    """The number of the update; None while nobody answers. Only what was certainly not taken is sent again."""
    with contextlib.suppress(httpx.ConnectError):
        return job.send(number)
    return None
