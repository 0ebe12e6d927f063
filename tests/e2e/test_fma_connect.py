"""The published client of FMA, unchanged, against a running service."""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import httpx
import pytest
from tests.e2e.service import Serve

pytestmark = pytest.mark.timeout(240)

CLIENT = "fma-connect==0.0.2"
PASSWORD = "correct horse battery"
SCRIPT = Path(__file__).with_name("fma_client.py")
INITIAL = [[0.0, 0.0], [1.0]]
SCHEMA = {"prefixItems": [{"minItems": 2, "maxItems": 2}, {"minItems": 1, "maxItems": 1}], "items": False}


@pytest.fixture(scope="module")
def interpreter(request):
    """A Python that has the published client: made once, kept in pytest's cache."""
    folder = Path(request.config.cache.mkdir("fma-connect-0.0.2"))
    python = folder / "bin" / "python"
    done = folder / "installed"
    if not done.exists():
        venv.create(folder, with_pip=True, clear=False)
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", CLIENT]
        outcome = subprocess.run(install, check=False, capture_output=True, text=True, timeout=180)
        if outcome.returncode:
            pytest.skip(f"{CLIENT} could not be installed, so nothing was proved: {outcome.stderr[-300:]}")
        done.touch()
    return python


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with Serve(tmp_path_factory.mktemp("fma") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def developer(service):
    """A staff account's calls, by its token."""
    manage = [sys.executable, "-m", "foedus", "manage"]
    environment = {**os.environ, "FOEDUS_DATA": str(service.data), "DJANGO_SUPERUSER_PASSWORD": PASSWORD}
    account = ["createsuperuser", "--noinput", "--username", "admin", "--email", "admin@example.org"]
    subprocess.run([*manage, *account], check=True, capture_output=True, env=environment)
    out = subprocess.run(
        [*manage, "drf_create_token", "admin"], check=True, capture_output=True, text=True, env=environment
    )
    with httpx.Client(base_url=service.url, timeout=30) as calls:
        answer = calls.post("/api-token-auth/", json={"username": "admin", "password": PASSWORD})
        token = answer.json()["token"]
        assert token in out.stdout
        calls.headers["Authorization"] = f"Token {token}"
        yield calls


def test_the_published_client_trains_scores_and_gets_the_artifact(service, developer, interpreter, tmp_path):
    user = next(pk for pk in (1, 2) if _create(developer, pk).status_code == 201)
    model = _create(developer, user).json()["id"]
    published = tmp_path / "published"

    with subprocess.Popen(
        [interpreter, SCRIPT, f"{service.url}/", str(model), published],
        stdout=subprocess.PIPE,
        text=True,
    ) as run:
        said = json.loads(run.stdout.readline())
        number = said["aggregate"]["id"]
        row = developer.get(f"/api/v1/model_aggregates/{number}/").json()
        artifact = developer.post(f"/api/v1/model_aggregates/{number}/publish_aggregate/", json={"version": "1.1.0"})
        published.touch()
        last = json.loads(run.stdout.readline())

    assert said["again"] == said["uuids"][0]
    assert said["nothing yet"] is None
    assert said["artifact"]["version"] == "1.0.0"
    assert said["initial"] == [{"values": INITIAL, "aggregate": None}] * 2
    assert "status_code=400" in said["refused"]
    assert "data did not match the required schema" in said["refused"]
    assert [sent["client"] for sent in said["sent"]] == said["uuids"]
    assert said["mean"] == {"values": [[2.0, 3.0], [3.5]], "aggregate": number}
    assert said["unchanged"] is None
    assert said["seconds"] < 5  # a second on a machine with nothing else to do
    assert [score["aggregate"] for score in said["scores"]] == [number, number]
    assert (row["result"], row["validation_score"]) == ([[2.0, 3.0], [3.5]], 0.75)
    assert artifact.status_code == 201
    assert last["published"]["id"] == artifact.json()["id"]
    assert developer.get(last["published"]["values"]).json() == [[2.0, 3.0], [3.5]]
    statuses = [row["status"] for row in developer.get(f"/api/v1/model_updates/?federated_model={model}").json()]
    assert statuses == [0, 2, 2]


def test_only_the_header_of_that_very_name_proves_a_client(service, developer):
    model = _create(developer, 1).json()["id"]
    address = f"{service.url}/api/v1/models/{model}/get_latest_model/"
    uuid = httpx.post(f"{service.url}/api/v1/models/{model}/register_client/").json()["uuid"]

    def asked_with(*headers):
        return httpx.get(address, headers=list(headers)).status_code

    assert asked_with(("CLIENT-UUID", uuid)) == 200
    assert asked_with(("CLIENT_UUID", uuid)) == 401
    assert asked_with(("CLIENT-UUID", ""), ("CLIENT_UUID", uuid)) == 401
    assert asked_with(("CLIENT-UUID", uuid), ("CLIENT-UUID", uuid)) == 401
    assert asked_with(("CLIENT-UUID", uuid), ("CLIENT_UUID", "nobody")) == 200


def _create(developer, user):
    return developer.post(
        "/api/v1/models/",
        json={
            "name": "demo",
            "developer": user,
            "aggregator": "average_layers",
            "requirement": "all_clients",
            "allow_aggregation": True,
            "initial_model": INITIAL,
            "update_schema": SCHEMA,
        },
    )
