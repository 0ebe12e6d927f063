"""The data plane as an ASGI application: no socket, no server; threads and their database connections are real."""

import base64
import hashlib
from functools import partial

import httpx
import pytest
from anyio.from_thread import start_blocking_portal
from tests import factories

from foedus.records.learning.models import Checkpoint, Invitation, Round, Update, Upload
from foedus.records.shell.models import Event, Job
from foedus.server.asgi import application

ROOT = "/foedus/v1"
SAFETENSORS = "application/vnd.safetensors"


class Plane:
    """Sends requests to an ASGI application that runs in a thread of its own."""

    def __init__(self, app, portal):
        self.app, self.portal = app, portal
        self._transport = httpx.ASGITransport(app, raise_app_exceptions=False)

    def call(self, method, path, **more):
        return self.portal.call(partial(self._call, method, path, **more))

    async def _call(self, method, path, **more):
        content = more.pop("content", None)
        if content is not None and not isinstance(content, bytes):
            content = _asynchronous(content)
        async with httpx.AsyncClient(transport=self._transport, base_url=f"http://testserver{ROOT}") as client:
            return await client.request(method, path, content=content, **more)


async def _asynchronous(pieces):
    for piece in pieces:
        yield piece


@pytest.fixture
def plane(transactional_db):
    """The data plane alone, started and ended as a server does."""
    app = application("data")
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(app.router.lifespan_context(app)):
        yield Plane(app, portal)


@pytest.fixture
def offer(plane):
    """Offers an update as one who holds a participant's token; whatever is given replaces what would be right."""

    def offered(participant, body=None, *, number="1", project="study", examples="2", headers=None, content=None):
        body = factories.body(factories.model(1.0)) if body is None else body
        sent = {
            "Authorization": f"Bearer {participant.token}",
            "Content-Type": SAFETENSORS,
            "Content-Digest": content_digest(body),
            **(headers or {}),
        }
        return plane.call(
            "PUT",
            f"/projects/{project}/rounds/{number}/update" + (f"?examples={examples}" if examples is not None else ""),
            content=body if content is None else content,
            headers={name: value for name, value in sent.items() if value is not None},
        )

    return offered


@pytest.fixture
def traces(ports):
    """Everything that a request could leave behind."""

    def left():
        tables = (Update, Upload, Round, Checkpoint, Invitation, Event, Job)
        return {
            "rows": {table.__name__: list(table.objects.order_by("pk").values()) for table in tables},
            "blobs": [blob.key for blob in ports.blobs.list()],
            "scratch": [path.name for path in ports.scratch.iterdir()],
        }

    return left


def content_digest(data):
    return f"sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"


def is_refusal(answer, status, code):
    """Whether the answer is this problem, whole, and none of the server's own making."""
    if answer.headers.get("content-type") != "application/problem+json":
        return False
    body = answer.json()
    return (answer.status_code, body["status"], body["code"]) == (status, status, code) and bool(body["detail"])
