"""Clients of the SymetryML face: the data plane as an ASGI application, without sockets, and signed requests."""

import base64
import json
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count

import httpx
import pytest
from anyio.from_thread import start_blocking_portal
from django.utils import timezone
from tests import factories

from foedus import bootstrap
from foedus.core.symetryml.dates import format_date
from foedus.core.symetryml.signing import Message, content_md5, sign
from foedus.faces.symetryml.limits import LIMITS
from foedus.records.customers.models import Customer
from foedus.server import lanes
from foedus.server.asgi import application
from foedus.services.customers.accounts import AddCustomer, add_customer

SECRET = "AAECAwQFBgcICQoLDA0ODw=="
ORIGIN = "http://testserver"
_ticks = count()


def a_date(**shift):
    """Now, and never the same twice."""
    now = datetime.now(UTC) + timedelta(**shift)
    return format_date(now.replace(microsecond=next(_ticks) % 1_000_000))


class Symetry:
    """Signs as a customer and sends to the application, which runs in a thread of its own."""

    def __init__(self, app, portal, cid="c1", secret=SECRET):
        self.app, self.portal, self.cid, self.secret = app, portal, cid, secret
        self._transport = httpx.ASGITransport(app, raise_app_exceptions=False)

    def call(self, method, path, body=None, *, signed_as=None, date=None, without=(), **headers):
        """``path`` is below the customer's resources, with its query; ``signed_as`` replaces what is signed."""
        path = f"/symetry/rest/{self.cid}/{path}"
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {**self.headers(method, signed_as or path, content, date), **headers}
        for name in without:
            del headers[name]
        return self.send(method, path, content, headers)

    def headers(self, method, path, content, date=None):
        date = date or a_date()
        resource, _, query = path.partition("?")
        message = Message(
            verb=method, date=date, customer=self.cid, path=resource.encode(), query=query.encode(), body=content
        )
        return {
            "Authorization": sign(message, self.secret), "sym-date": date, "Content-MD5": content_md5(content),
            "Customer-ID": self.cid, "sym-version": "6.3",
        }  # fmt: skip

    def send(self, method, path, content, headers):
        return self.portal.call(partial(self._send, method, path, content, headers))

    async def _send(self, method, path, content, headers):
        async with httpx.AsyncClient(transport=self._transport) as client:
            return await client.request(method, ORIGIN + path, content=content, headers=headers)

    def get(self, path, **more):
        return self.call("GET", path, **more)

    def post(self, path, body=None, **more):
        return self.call("POST", path, body, **more)

    def delete(self, path, **more):
        return self.call("DELETE", path, **more)

    def project(self, name="p1", **params):
        answer = self.post(f"projects?pid={name}&type=cpu&persist=true", params)
        assert answer.status_code == 201, answer.text
        return name

    def job(self, answer):
        """What a job led to, once a worker has done what is due."""
        assert answer.status_code == 202, answer.text
        lanes.do_due_jobs(bootstrap.ports())
        return self.get(f"jobs/{answer.headers['sym-job-id']}")


@pytest.fixture(autouse=True)
def _server(ports, monkeypatch):
    """The server's ports are those of the test, and nobody has asked for anything yet."""
    monkeypatch.setattr(bootstrap, "ports", lambda: ports)
    LIMITS.configure(0)
    yield
    LIMITS.configure(0)


@pytest.fixture
def app(transactional_db):
    return application("data")


@pytest.fixture
def portal(app):
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(app.router.lifespan_context(app)):
        yield portal


@pytest.fixture
def customers(ports, transactional_db):
    """Makes customers."""

    def made(cid="c1", secret_key=SECRET, **fields):
        operator = factories.operator(now=timezone.now())
        add_customer(ports, operator, AddCustomer(cid=cid, secret_key=secret_key, **fields), now=timezone.now())
        return Customer.objects.get(cid=cid)

    return made


@pytest.fixture
def c1(app, portal, customers):
    customers()
    return Symetry(app, portal)


@pytest.fixture
def c2(app, portal, customers):
    secret = base64.b64encode(bytes(16)).decode()
    customers("c2", secret)
    return Symetry(app, portal, "c2", secret)


def said(answer):
    """Status, word and text of an answer."""
    body = answer.json()
    assert set(body) == {"statusCode", "statusString", "values"}
    return answer.status_code, body["statusCode"], body["statusString"]


def values(answer):
    assert answer.status_code == 200, answer.text
    return answer.json()["values"]
