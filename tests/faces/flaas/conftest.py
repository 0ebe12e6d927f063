"""Phones, as the server sees them: the whole of its one ASGI application, without a socket."""

import json
from functools import partial

import httpx
import pytest
from anyio.from_thread import start_blocking_portal
from tests.fleets import PASSWORD

from foedus import bootstrap
from foedus.server.asgi import application

DETAILS = {
    "os": "Android", "model": "Pixel 6", "manufacturer": "Google", "brand": "google", "type": "user",
    "incremental": "8741", "security_patch": "2026-10-05", "version": 33,
}  # fmt: skip


def device_info(*, plugged=True, level=1.0, **parts):
    return {
        "app_details": {"version_code": 13, "version_name": "0.13"},
        "battery_status": {"level": level, "power_plugged": plugged, "status": 2, "technology": "Li-ion"},
        "connectivity_status": {"active_network": {"type_name": "WIFI", "subtype_name": ""}},
        "device_details": DETAILS,
        "cell_towers_info": {"all_cell_towers": [{"cell_identity": {"operator": "somebody's"}}]},
        "location": {"latitude": -1, "longitude": -1},
        "usage_stats_details": {"app_standby_bucket": 10},
        **parts,
    }


class Api:
    """Calls as one who holds ``token``; answers are kept as they come."""

    def __init__(self, client, token=None):
        self.client = client
        self.token = token

    def call(self, method, path, *, headers=None, **more):
        sent = {**({"Authorization": f"Bearer {self.token}"} if self.token else {}), **(headers or {})}
        return self.client.request(method, f"/api/{path}", headers=sent, follow_redirects=False, **more)

    def get(self, path, **more):
        return self.call("GET", path, **more)

    def post(self, path, fields=None, **more):
        return self.call("POST", path, **({"json": fields} if fields is not None else {}), **more)

    def put(self, path, fields):
        return self.call("PUT", path, json=fields)

    def delete(self, path):
        return self.call("DELETE", path)

    def log_in(self, username, password=PASSWORD):
        answer = self.post("token/", data={"username": username, "password": password})
        self.token = answer.json()["access"]
        self.refresh_token = answer.json()["refresh"]
        return self

    def ping(self, **info):
        fields = {"request_type": "device-ping", "device_info": device_info(**info)}
        return self.post("report-availability", fields)

    def trained(self, request, **info):
        fields = {"request_type": "device-train", "request_id": request, "device_info": device_info(**info)}
        return self.post("report-availability", fields)

    def upload(self, project, number, data, name="model_weights.bin", content_type="application/octet-stream"):
        path = f"project/{project}/submit-model/{number}/{name}"
        return self.post(path, content=data, headers={"Content-Type": content_type})

    def results(self, project, number, data, name="performance.json", content_type="application/json; charset=utf-8"):
        content = data if isinstance(data, bytes) else json.dumps(data).encode()
        path = f"project/{project}/submit-results/{number}/{name}"
        return self.post(path, content=content, headers={"Content-Type": content_type})


class Client:
    """Sends requests into the application, whose event loop runs in a thread of its own."""

    def __init__(self, app, portal):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://testserver")
        self._portal = portal

    def request(self, method, path, **more):
        if hasattr(more.get("content"), "__next__"):
            more["content"] = _chunked(more["content"])
        return self._portal.call(partial(self._client.request, method, path, **more))


async def _chunked(chunks):
    for chunk in chunks:
        yield chunk


@pytest.fixture
def client(ports, monkeypatch):
    monkeypatch.setattr(bootstrap, "ports", lambda: ports)
    app = application()
    app.state.ports = ports
    with start_blocking_portal() as portal:
        yield Client(app, portal)


@pytest.fixture
def api(client):
    """Nobody yet."""
    return Api(client)


@pytest.fixture
def phones(client):
    """Logs the devices of a fleet in."""
    return lambda fleet: [Api(client).log_in(device.user.username) for device in fleet.devices]


class Now:
    """The clock of the face is the machine's."""

    def __call__(self):
        from django.utils import timezone

        return timezone.now()


@pytest.fixture
def clock():
    return Now()
