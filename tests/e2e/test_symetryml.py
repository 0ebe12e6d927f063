"""The SymetryML face over real HTTP: batches are in or out, whatever is killed; and hostile bodies on real sockets."""

import json
import socket
import threading
from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx
import pytest

from foedus.core.symetryml.dates import format_date
from foedus.core.symetryml.signing import Message, sign
from foedus.sdk import Operator, Site

LEARNERS = 3
BATCH = 4  # rows of each


class Client:
    """Signs as a customer; never the same date twice."""

    def __init__(self, url, cid, secret):
        self.url, self.cid, self.secret = url, cid, secret

    def call(self, method, path, body=None):
        target = f"/symetry/rest/{self.cid}/{path}"
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        resource, _, query = target.partition("?")
        date = format_date(datetime.now(UTC))
        message = Message(
            verb=method, date=date, customer=self.cid, path=resource.encode(), query=query.encode(), body=content
        )
        headers = {"Authorization": sign(message, self.secret), "sym-date": date}
        return httpx.request(method, self.url + target, content=content, headers=headers, timeout=60)


@pytest.fixture(scope="module")
def secret(service):
    with Operator(service.url, service.token) as operator:
        return operator.add_customer("c1")


def batch(learner):
    rows = [[str(learner + i), str(i % 2)] for i in range(BATCH)]
    return {"attributeNames": ["x", "b"], "attributeTypes": ["C", "B"], "data": rows}


class Learner(threading.Thread):
    """Has batches learned one after the other, some by jobs; counts what was asked, and what acknowledged."""

    def __init__(self, service, secret, number, enough):
        super().__init__(daemon=True)
        self.client = Client(service.url, "c1", secret)
        self.number, self.enough = number, enough
        self.acknowledged = self.asked = 0
        self.stopped = threading.Event()

    def run(self):
        while not self.stopped.is_set():
            query = "?async=true" if self.asked % 3 == 2 else ""
            self.asked += 1
            try:
                answer = self.client.call("POST", f"projects/kills/learn{query}", batch(self.number))
            except httpx.TransportError:
                self.stopped.wait(0.2)
                continue
            if answer.status_code in (200, 202):
                self.acknowledged += 1
                self.enough.set()


@pytest.mark.parametrize("kills", [1, pytest.param(6, marks=pytest.mark.slow)])
def test_a_batch_is_in_or_out_whatever_is_killed(service, secret, kills):
    client = Client(service.url, "c1", secret)
    client.call("DELETE", "projects/kills")
    assert client.call("POST", "projects?pid=kills", {}).status_code == 201
    enough = threading.Event()
    learners = [Learner(service, secret, number, enough) for number in range(LEARNERS)]
    for learner in learners:
        learner.start()

    for _ in range(kills):
        enough.clear()
        assert enough.wait(60)
        service.restart()
    enough.clear()
    assert enough.wait(60)
    for learner in learners:
        learner.stopped.set()
    for learner in learners:
        learner.join(90)

    acknowledged, asked = (sum(getattr(each, name) for each in learners) for name in ("acknowledged", "asked"))
    rows = settled_rows(service, secret)
    assert rows % BATCH == 0  # never half
    assert acknowledged <= rows / BATCH <= asked
    with Site(service.url, service.token, customer="c1", project="kills") as site:
        view = site.statistics().view(["x", "b"])
    assert view.count.tolist() == [rows, rows]
    assert view.mean[1] == pytest.approx(0.5)


def settled_rows(service, secret):
    """The project's rows once all jobs are done."""
    client = Client(service.url, "c1", secret)
    deadline = threading.Event()
    for _ in range(300):
        jobs = client.call("GET", "jobs").json()["values"]["jobinfo"]["values"]
        if all(job["isDone"] for job in jobs):
            break
        deadline.wait(0.2)
    else:
        pytest.fail("a job was never done")
    assert not [job for job in jobs if job["details"]["state"] != "done"]
    return client.call("GET", "projects/kills/info").json()["values"]["smlInfo"]["count"]


def announced(service, length, *, body=b""):
    """The answer to a frame of so many bytes, of which only ``body`` is sent."""
    parts = urlsplit(service.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=60) as connection:
        head = (
            f"POST /symetry/rest/c1/projects/kills/learn HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: AAAA\r\n"
            f"sym-date: {format_date(datetime.now(UTC))}\r\nContent-Length: {length}\r\n\r\n"
        )
        connection.sendall(head.encode() + body)
        return connection.recv(65536).decode()


def test_a_frame_of_five_gigabytes_is_refused_before_it_is_sent(service, secret):
    answer = announced(service, 5 << 30)

    assert answer.startswith("HTTP/1.1 413")
    assert '"statusCode":"REQUEST_ENTITY_TOO_LARGE"' in answer


@pytest.mark.slow
def test_whoever_sends_too_slowly_is_told_and_keeps_nobody_waiting(service, secret):
    client = Client(service.url, "c1", secret)
    answers = []
    dawdlers = [threading.Thread(target=lambda: answers.append(announced(service, 1000, body=b"{"))) for _ in range(20)]
    for dawdler in dawdlers:
        dawdler.start()

    assert client.call("GET", "projects/list").status_code == 200
    for dawdler in dawdlers:
        dawdler.join(90)

    assert {answer.split()[1] for answer in answers} == {"408"}
    assert all('"statusCode":"REQUEST_TIMEOUT"' in answer for answer in answers)
