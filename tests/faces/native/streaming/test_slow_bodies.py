"""Bodies that stop coming are given up, and nobody has many of them on their way at once."""

import asyncio
import hashlib

import httpx
import pytest
from django.db import OperationalError
from structlog.testing import capture_logs
from tests import factories
from tests.faces.native.streaming import conftest
from tests.faces.native.streaming.conftest import content_digest, is_refusal

from foedus.faces.native.streaming import bodies, models

BODY = factories.body(factories.model(1.0))


@pytest.fixture
def stalled(plane, training):
    """Sends half of a body and then nothing, until told to go on."""

    async def call(method, path, headers, until):
        async def half():
            yield BODY[:100]
            await until.wait()
            yield BODY[100:]

        transport = httpx.ASGITransport(plane.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://testserver{conftest.ROOT}") as client:
            headers = {"Authorization": f"Bearer {training[0].token}", **headers}
            return await client.request(method, path, content=half(), headers=headers)

    return call


UPDATE = {"Content-Type": conftest.SAFETENSORS, "Content-Digest": content_digest(BODY)}


def test_a_body_that_stops_coming_is_given_up(plane, stalled, offer, training, traces, monkeypatch):
    monkeypatch.setattr(bodies, "IDLE_S", 0.05)
    before = traces()

    answer = plane.portal.call(
        lambda: stalled("PUT", "/projects/study/rounds/1/update?examples=2", UPDATE, asyncio.Event())
    )

    assert is_refusal(answer, 408, "timeout")
    assert answer.headers["connection"] == "close"
    assert traces() == before
    assert offer(training[0]).status_code == 201


def test_what_came_of_an_upload_before_it_stopped_counts(plane, stalled, training, monkeypatch):
    announced = {"size_bytes": len(BODY), "digest": hashlib.sha256(BODY).hexdigest()}
    created = training[0].post("projects/study/uploads", announced).json()
    monkeypatch.setattr(bodies, "IDLE_S", 0.05)
    headers = {"Content-Type": models.OFFSET_STREAM, "Upload-Offset": "0"}

    answer = plane.portal.call(
        lambda: stalled("PATCH", f"/projects/study/uploads/{created['id']}", headers, asyncio.Event())
    )

    assert is_refusal(answer, 408, "timeout")
    assert training[0].get(f"projects/study/uploads/{created['id']}").json()["offset"] == 100


def test_one_participant_has_few_bodies_on_their_way(plane, stalled, offer, training):
    async def test():
        go_on = asyncio.Event()
        path = "/projects/study/rounds/1/update?examples=2"
        sending = [asyncio.create_task(stalled("PUT", path, UPDATE, go_on)) for _ in range(bodies.MAX_IN_FLIGHT + 2)]
        refused = []
        while len(refused) < 2:
            done, _ = await asyncio.wait(sending, return_when=asyncio.FIRST_COMPLETED, timeout=5)
            refused = [task.result() for task in done]
            await asyncio.sleep(0.01)
        go_on.set()
        return refused, await asyncio.gather(*sending)

    refused, answers = plane.portal.call(test)

    assert all(is_refusal(answer, 429, "quota_exceeded") for answer in refused)
    assert sum(answer.status_code in (200, 201) for answer in answers) == bodies.MAX_IN_FLIGHT
    assert offer(training[0]).status_code == 200


@pytest.mark.parametrize(
    ("exc", "status", "code", "event"),
    [
        (RuntimeError("a bug"), 500, "internal", "request.failed"),
        (OperationalError("no connection"), 503, "unavailable", "request.unavailable"),
    ],
)
def test_a_fault_of_the_server_is_found_in_its_log(offer, training, monkeypatch, exc, status, code, event):
    def fail(*_, **__):
        raise exc

    monkeypatch.setattr(models, "take_updates", fail)

    with capture_logs() as lines:
        answer = offer(training[0])

    assert is_refusal(answer, status, code)
    (line,) = [line for line in lines if line["event"] == event]
    assert line.get("request_id") == answer.json()["context"].get("request_id")
    assert ("exc_info" in line) == (status == 500)
