"""Clients of the native API, as Django sees them: no socket, no server."""

import json

import pytest
from django.test import Client
from django.utils import timezone
from tests import factories

from foedus import bootstrap
from foedus.faces.native.limits import LIMITS
from foedus.records.learning.models import Project
from foedus.services.accounts.credentials import create_credential

ROOT = "/foedus/v1/"


class Api:
    """Calls as one who holds ``token``."""

    def __init__(self, token=None, **headers):
        self.token = token
        self._client = Client(raise_request_exception=False)
        self._headers = {**({"Authorization": f"Bearer {token}"} if token else {}), **headers}

    def call(self, method, path, fields=None, *, data=b"", content_type="application/json", **headers):
        body = json.dumps(fields) if fields is not None else data
        return self._client.generic(
            method, ROOT + path, body, content_type if body else "", headers={**self._headers, **headers}
        )

    def get(self, path, **headers):
        return self.call("GET", path, **headers)

    def post(self, path, fields=None, **more):
        return self.call("POST", path, fields, **more)

    def patch(self, path, fields):
        return self.call("PATCH", path, fields)

    def delete(self, path):
        return self.call("DELETE", path)


def operator_api(organisation, **fields):
    actor = factories.operator(organisation, now=timezone.now())
    api = Api(create_credential(actor, "test", None, now=timezone.now(), **fields).token)
    api.actor = actor
    return api


@pytest.fixture(autouse=True)
def _server(ports, monkeypatch):
    """The server's ports are those of the test, and nobody has asked for anything yet."""
    monkeypatch.setattr(bootstrap, "ports", lambda: ports)
    LIMITS.configure(0)
    yield
    LIMITS.configure(0)


@pytest.fixture
def clock():
    """Services are called at the moment at which views are."""
    return timezone.now


@pytest.fixture
def anonymous():
    return Api()


@pytest.fixture
def acme(db):
    return operator_api("acme")


@pytest.fixture
def rival(db):
    return operator_api("rival")


@pytest.fixture
def study(acme, ports, clock):
    """A running project of acme that wants two participants."""
    fields = {"key": "study", "policy": {"name": "quorum", "options": {"minimum": 2, "rounds": 3}}}
    assert acme.post("projects", fields).status_code == 201
    made = factories.Study(ports, clock, acme.actor, "study")
    made.put_model(factories.model())
    return made


@pytest.fixture
def join(study, anonymous):
    """Makes participants of the study: ``api.id`` is theirs."""

    def joined(name="a", api=anonymous):
        answer = api.post("enrol", {"key": study.key_for(name)}).json()
        participant = Api(answer["token"] or api.token)
        participant.id, participant.name = answer["participant"]["id"], answer["participant"]["name"]
        return participant

    return joined


@pytest.fixture
def training(study, join):
    """Two participants, invited to round 1."""
    pair = [join("a"), join("b")]
    for participant in pair:
        assert participant.post("projects/study/heartbeat", {}).status_code == 200
    assert Project.objects.get().rounds.get().phase == "collecting"
    return pair


def is_problem(response, status, code):
    """Whether the answer is such a problem, whole and well-formed."""
    body = response.json()
    return (
        response.headers["Content-Type"] == "application/problem+json"
        and set(body) == {"type", "title", "status", "detail", "code", "context"}
        and (response.status_code, body["status"], body["code"]) == (status, status, code)
        and body["type"] == f"urn:foedus:error:{code}"
        and "Traceback" not in body["detail"]
    )
