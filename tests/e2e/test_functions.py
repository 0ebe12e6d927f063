"""FMA's API and aggregator as functions, each in AWS's own runtime, beside PostgreSQL and a cloud played by moto."""

import json
import os
import re
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

import boto3
import httpx
import pytest
from tests.server.serverless.events import FORMS, balancer, content, http
from tests.servers.functions import ARN, Function, FunctionError, function
from tests.servers.s3 import CREDENTIALS

from foedus.connectors.schedule.eventbridge import EventBridgeSchedule

pytest.importorskip("awslambdaric", reason="awslambdaric is not installed: functions were NOT run")

PASSWORD = "correct horse battery"
BASIC = "Basic YWRtaW46Y29ycmVjdCBob3JzZSBiYXR0ZXJ5"
SETTINGS = """
INSTALLED_PACKAGES = ["fma_django_connectors"]
AGGREGATOR_SETTINGS = {
    "aggregator_connector_type": "DjangoAggConnector",
    "metadata_connector": {"type": "DjangoMetadataConnector"},
    "model_data_connector": {"type": None},
    "secrets_manager": "aws_secrets",
    "secrets_name": ["fma/database"],
}
API_SERVICE_SETTINGS = {
    "handler": "django_lambda_handler", "secrets_manager": "aws_secrets", "secrets_name": ["fma/database"],
}
"""


@dataclass
class Cloud:
    """What is deployed, and how to ask it."""

    environment: dict[str, str]
    endpoint: str
    bucket: str
    password: str
    api: Function | None = None
    aggregator: Function | None = None

    def call(self, method, path, body=b"", *, form=balancer, status=200, **headers):
        event = form(method, path, body=body, headers={"content-type": "application/json", **headers})
        answer = self.api.invoke(event)
        assert answer["statusCode"] == status, answer["body"]
        return json.loads(content(answer) or b"null")

    def as_admin(self, method, path, body=b"", **options):
        return self.call(method, path, body, authorization=BASIC, **options)

    def model(self, **fields):
        wanted = {"name": "demo", "developer": 1, "aggregator": "average_layers", "allow_aggregation": True, **fields}
        return self.as_admin("POST", "/api/v1/models/", wanted, status=201)["id"]

    def client(self, model):
        return self.call("POST", f"/api/v1/models/{model}/register_client/")["uuid"]

    def send(self, model, client, data, form=balancer):
        body = {"federated_model": model, "data": data, "base_aggregate": None}
        return self.call("POST", "/api/v1/model_updates/", body, status=201, form=form, **{"client-uuid": client})

    def tick(self, model):
        return self.aggregator.invoke({"detail-type": "Scheduled Event", "detail": {"model_id": model}})

    def rules(self):
        client = boto3.client("events", endpoint_url=self.endpoint, region_name="eu-west-1")
        try:
            found = client.list_rules(NamePrefix="fma-scheduled-model-")["Rules"]
        finally:
            client.close()
        return {rule["Name"]: rule["State"] for rule in found}


@pytest.fixture(scope="module")
def cloud(s3_endpoint, postgresql_url, tmp_path_factory):
    folder = tmp_path_factory.mktemp("function")
    (folder / "site_settings.py").write_text(SETTINGS)
    bucket, database = f"fma-{uuid4().hex[:8]}", urlsplit(postgresql_url)
    s3 = boto3.client("s3", endpoint_url=s3_endpoint)
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    secrets = boto3.client("secretsmanager", endpoint_url=s3_endpoint)
    login = {"username": database.username, "password": database.password}
    with suppress(
        secrets.exceptions.ResourceExistsException
    ):  # of the same database, when these tests are taken up again
        secrets.create_secret(Name="fma/database", SecretString=json.dumps(login))
    s3.close()
    secrets.close()
    environment = {
        **CREDENTIALS,
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(folder),
        "AWS_ENDPOINT_URL": s3_endpoint,
        "AWS_LAMBDA_FUNCTION_NAME": "fma-api-service",
        "FMA_SETTINGS_MODULE": "site_settings",
        "FMA_DATABASE_NAME": database.path.lstrip("/"),
        "FMA_DATABASE_HOST": database.hostname,
        "FMA_DATABASE_PORT": str(database.port),
        "FMA_DB_SECRET_PATH": "fma/database",
        "FOEDUS_DATA": str(folder / "data"),
        "FOEDUS_BLOBS_URL": f"s3://{bucket}/weights",
        "FOEDUS_SECRETS": f"aws:{bucket}/",
        "TRUSTED_ORIGIN": "fma.example.org,.execute-api.eu-west-1.amazonaws.com",
        "AGGREGATOR_LAMBDA_ARN": ARN,
        "ENV": "test",
    }
    found = Cloud(environment, s3_endpoint, bucket, database.password)
    with (
        function("foedus.server.serverless.api.handler", environment) as found.api,
        function("foedus.server.serverless.aggregator.handler", environment) as found.aggregator,
    ):
        migrated = found.api.invoke({"detail": {"update_metadata_db": True}})
        assert migrated["statusCode"] == 200, found.api.log
        make_admin(environment)
        yield found


def make_admin(environment):
    command = [Path(sys.executable).with_name("foedus"), "manage", "createsuperuser", "--noinput"]
    subprocess.run(
        [*command, "--username", "admin", "--email", "admin@example.org"],
        env={**environment, "DJANGO_SUPERUSER_PASSWORD": PASSWORD}, check=True,
    )  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_a_model_is_trained_through_every_front_door(cloud, form):
    model = cloud.model(requirement="all_clients", initial_model=[[0.0, 0.0], [1.0]])
    one, two = cloud.client(model), cloud.client(model)

    cloud.send(model, one, [[1, 2], [3]], form=form)
    waits = cloud.tick(model)
    cloud.send(model, two, [[3, 4], [4]], form=form)
    answer = cloud.tick(model)
    idle = cloud.tick(model)

    made = data(answer)
    latest = cloud.call("GET", f"/api/v1/models/{model}/get_latest_model/", form=form, **{"client-uuid": one})
    assert "1 of 2" in data(waits)["reason"]
    assert (answer["statusCode"], made["fed_id"]) == (200, model)
    assert latest == {"values": [[2.0, 3.0], [3.5]], "aggregate": made["agg_id"]}
    assert data(idle)["agg_id"] is None


def test_the_models_rule_comes_pauses_and_goes_with_it(cloud):
    model = cloud.model()
    rule = f"fma-scheduled-model-{model}-test"

    assert cloud.rules()[rule] == "ENABLED"
    cloud.as_admin("PATCH", f"/api/v1/models/{model}/", {"allow_aggregation": False})
    assert cloud.rules()[rule] == "DISABLED"
    assert data(cloud.tick(model))["reason"] == "Aggregation is paused."
    cloud.as_admin("PATCH", f"/api/v1/models/{model}/", {"name": "renamed"})
    assert cloud.rules()[rule] == "DISABLED"
    cloud.as_admin("DELETE", f"/api/v1/models/{model}/", status=204)
    assert rule not in cloud.rules()


def test_the_rule_of_a_model_that_is_gone_goes_with_its_first_event(cloud):
    EventBridgeSchedule(ARN, "test", endpoint=cloud.endpoint).keep(4711, active=True)

    answer = cloud.tick(4711)

    assert answer["statusCode"] == 404
    assert "fma-scheduled-model-4711-test" not in cloud.rules()


def test_a_run_that_fails_is_reported_as_failed_and_the_next_one_succeeds(cloud):
    model = cloud.model()
    cloud.send(model, cloud.client(model), [[1, 2], [3]])
    broken = cloud.environment | {"FOEDUS_BLOBS_URL": "s3://no-such-bucket"}

    with function("foedus.server.serverless.aggregator.handler", broken) as elsewhere, pytest.raises(FunctionError):
        elsewhere.invoke({"detail": {"model_id": model}})
    (failure,) = elsewhere.lines("event.failed")

    assert failure["model"] == model
    assert made_in_the_end(cloud, model)


def made_in_the_end(cloud, model):
    """The failed run's job is tried again half a second later at the earliest."""
    for _ in range(50):
        if made := data(cloud.tick(model))["agg_id"]:
            return made
    return None


def test_an_answer_too_large_for_the_balancer_is_fetched_from_the_bucket(cloud):
    weights = [[float(i) for i in range(300_000)]]
    model = cloud.model(initial_model=weights)
    event = balancer("GET", f"/api/v1/models/{model}/get_latest_model/", headers={"authorization": BASIC})

    answer = cloud.api.invoke(event)

    assert (answer["statusCode"], answer["body"]) == (303, "")
    with httpx.Client(trust_env=False) as stranger:
        assert stranger.get(answer["headers"]["location"]).json() == {"values": weights, "aggregate": None}


def test_an_update_too_large_for_the_balancer_goes_through_the_bucket(cloud):
    weights = [[float(i) for i in range(300_000)]]
    model = cloud.model()
    uuid = {"client-uuid": cloud.client(model)}
    body = json.dumps({"federated_model": model, "data": weights, "base_aggregate": None}).encode()

    place = cloud.call("POST", "/api/v1/uploads/", {"size_bytes": len(body)}, status=201, **uuid)
    with httpx.Client(trust_env=False) as client:
        client.put(place["address"], content=body, headers=place["headers"]).raise_for_status()
    cloud.call("POST", "/api/v1/model_updates/", status=201, **uuid, **{"foedus-body": place["body"]})

    assert data(cloud.tick(model))["agg_id"]
    cloud.call("POST", "/api/v1/model_updates/", status=400, **uuid, **{"foedus-body": place["body"]})


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({}, {"size_bytes": 5}, 401),
        ({"authorization": BASIC}, {"size_bytes": 0}, 400),
        ({"authorization": BASIC}, [], 400),
    ],
)
def test_a_place_is_given_to_known_callers_that_say_how_large_it_has_to_be(cloud, headers, body, status):
    cloud.call("POST", "/api/v1/uploads/", body, status=status, **headers)


@pytest.mark.parametrize("token", ["x", "0" * 32, "../" + "0" * 29])
def test_a_token_that_leads_nowhere_is_refused(cloud, token):
    cloud.as_admin("POST", "/api/v1/model_updates/", status=400, **{"foedus-body": token})


def test_the_admin_pages_let_one_in_through_the_trusted_origin(cloud):
    page = cloud.api.invoke(balancer("GET", "/admin/login/", multi=True))
    cookies = [cookie.split(";")[0] for cookie in page["multiValueHeaders"]["set-cookie"]]
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page["body"])[1]
    form = urlencode({"csrfmiddlewaretoken": token, "username": "admin", "password": PASSWORD, "next": "/admin/"})
    headers = {
        "cookie": "; ".join(cookies),
        "origin": "https://fma.example.org",
        "content-type": "application/x-www-form-urlencoded",
    }

    answer = cloud.api.invoke(balancer("POST", "/admin/login/", body=form.encode(), headers=headers, multi=True))

    assert answer["statusCode"] == 302
    assert any("sessionid=" in cookie for cookie in answer["multiValueHeaders"]["set-cookie"]), answer


def test_addresses_in_answers_lead_back_to_the_host_that_was_asked(cloud):
    root = cloud.call("GET", "/api/v1/", form=http)

    assert root["models"] == "https://abc.execute-api.eu-west-1.amazonaws.com/api/v1/models/"


def _logged(function, model):
    """The lines about a model; a thread reads them, and may do so after the answer is here."""
    until = time.monotonic() + 10
    while not (found := [line for line in function.lines("event.done") if line["model"] == model]):
        assert time.monotonic() < until, function.log[-5:]
        time.sleep(0.02)
    return found


def test_the_log_has_one_line_an_event_and_no_secrets(cloud):
    model = cloud.model()
    cloud.tick(model)

    (line,) = _logged(cloud.aggregator, model)
    assert (line["service"], line["kind"], line["status"]) == ("aggregator", "aggregate", 200)
    assert {"method", "path", "status", "seconds", "request"} <= cloud.api.lines("event.done")[-1].keys()
    written = "\n".join([*cloud.api.log, *cloud.aggregator.log])
    assert BASIC.split()[1] not in written
    assert PASSWORD not in written
    assert cloud.password not in written


@pytest.mark.parametrize("missing", ["FOEDUS_BLOBS_URL", "FOEDUS_SECRETS"])
def test_functions_that_could_not_share_their_data_do_not_start(cloud, missing):
    alone = {name: value for name, value in cloud.environment.items() if name != missing}

    with function("foedus.server.serverless.api.handler", alone) as api, pytest.raises(FunctionError, match=missing):
        api.invoke(balancer("GET", "/healthz"))


def test_a_wrong_setting_is_named_before_the_first_event_is_done(cloud, tmp_path):
    (tmp_path / "wrong_settings.py").write_text("API_SERVICE_SETTINGS = {'handler': 'nobody'}")
    wrong = cloud.environment | {"FMA_SETTINGS_MODULE": "wrong_settings", "PYTHONPATH": str(tmp_path)}

    with function("foedus.server.serverless.api.handler", wrong) as api, pytest.raises(FunctionError, match="'nobody'"):
        api.invoke(balancer("GET", "/healthz"))


def data(answer):
    return json.loads(answer["body"])["data"]
