"""Callers of the FMA face, as Django sees them: no socket, no server."""

import base64
import json

import pytest
from django.test import Client
from django.utils import timezone

from foedus import bootstrap
from foedus.faces.fma.limits import LIMITS
from foedus.records.accounts.models import User
from foedus.server.work import HANDLERS
from foedus.services.shell import jobs

PASSWORD = "correct horse battery"
INITIAL = [[0.0, 0.0], [1.0]]


def read(response):
    """What was answered, as JSON."""
    text = b"".join(response.streaming_content) if response.streaming else response.content
    response.close()
    return json.loads(text)


class Api:
    """Calls with certain headers."""

    def __init__(self, **headers):
        self.headers = headers
        self.client = Client(raise_request_exception=False)

    def call(self, method, path, fields=None, *, data=b"", content_type="application/json", **headers):
        body = json.dumps(fields) if fields is not None else data
        path = path.removeprefix("http://testserver")
        path = path if path.startswith("/") else f"/api/v1/{path}"
        return self.client.generic(
            method, path, body, content_type if body else "", headers={**self.headers, **headers}
        )

    def get(self, path, **headers):
        return self.call("GET", path, **headers)

    def post(self, path, fields=None, **more):
        return self.call("POST", path, fields, **more)

    def patch(self, path, fields):
        return self.call("PATCH", path, fields)

    def put(self, path, fields):
        return self.call("PUT", path, fields)

    def delete(self, path):
        return self.call("DELETE", path)

    def upload(self, path, **fields):
        return self.client.post(f"/api/v1/{path}", fields, headers=self.headers)


class World:
    """A model of one developer, and everybody who might want something of it."""

    def __init__(self, ports):
        self.ports = ports
        self.users = {}
        self.anonymous = Api()
        self.owner = self.user("owner")
        self.other = self.user("other")
        self.staff = self.user("staff", is_staff=True)

    def user(self, name, **fields):
        user = User(username=name, **fields)
        user.set_password(PASSWORD)
        user.save()
        self.users[name] = user
        code = base64.b64encode(f"{name}:{PASSWORD}".encode()).decode()
        return Api(Authorization=f"Basic {code}")

    def model(self, by=None, **fields):
        fields = {
            "name": "demo", "developer": self.users["owner"].pk, "aggregator": "average_layers",
            "allow_aggregation": True, **fields,
        }  # fmt: skip
        response = (by or self.owner).post("models/", fields)
        assert response.status_code == 201, response.content
        return response.json()["id"]

    def join(self, model):
        uuid = self.anonymous.post(f"models/{model}/register_client/").json()["uuid"]
        api = Api(**{"CLIENT-UUID": uuid})
        api.uuid = uuid
        return api

    def send(self, client, model, data, base=None):
        return client.post("model_updates/", {"federated_model": model, "data": data, "base_aggregate": base})

    def work(self):
        while (job := jobs.claim(timezone.now())) is not None:
            HANDLERS[job.kind](self.ports, job, now=timezone.now())

    def aggregate(self, client, model, data):
        """A new aggregate's number."""
        assert self.send(client, model, data).status_code == 201
        self.work()
        return client.get(f"models/{model}/get_latest_aggregate/").json()["id"]


@pytest.fixture(autouse=True)
def _server(ports, monkeypatch):
    """The server's ports are those of the test, and nobody has asked for anything yet."""
    monkeypatch.setattr(bootstrap, "ports", lambda: ports)
    LIMITS.configure(0)
    yield
    LIMITS.configure(0)


@pytest.fixture
def world(ports):
    return World(ports)
