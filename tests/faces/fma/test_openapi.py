"""The description against what is answered: addresses and methods, and the fields of real answers."""

import pytest
from django.urls import get_resolver
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from tests.faces.fma.conftest import INITIAL, PASSWORD, read

from foedus.faces.fma import urls

pytestmark = pytest.mark.django_db(transaction=True)

MODEL = {"name": "demo", "aggregator": "average_layers", "score_rule": {"metric": "f1"}}


@pytest.fixture
def document(world):
    return read(world.anonymous.get("openapi.json"))


class Answers:
    """Looks at answers as the description says that they are, down to fields that it does not name."""

    def __init__(self, document):
        self._document = document
        self.seen = set()

    def check(self, response, operation_id):
        operation = next(
            operation
            for path in self._document["paths"].values()
            for operation in path.values()
            if isinstance(operation, dict) and operation["operationId"] == operation_id
        )
        found = operation["responses"].get(str(response.status_code), operation["responses"]["default"])
        if "$ref" in found:
            found = self._document["components"]["responses"][found["$ref"].rsplit("/", 1)[1]]
        assert response.headers["Content-Type"] in found["content"]
        self.seen.add(operation_id)
        return self._conforming(read(response), found["content"]["application/json"]["schema"])

    def _conforming(self, value, schema):
        schemas = {
            name: {"additionalProperties": False, **inner} if "properties" in inner else inner
            for name, inner in self._document["components"]["schemas"].items()
        }
        Draft202012Validator({**schema, "components": {"schemas": schemas}}).validate(value)
        return value


@pytest.fixture
def answers(document):
    return Answers(document)


def test_the_document_is_valid_openapi(document):
    validate(document)


def test_every_address_is_described_with_its_methods_and_nothing_else_is(world, document):
    served = {}
    for path in document["paths"]:
        address = path.format(id=1, folder="model_updates", kind="json")
        allow = set(world.anonymous.call("OPTIONS", address).headers["Allow"].split(", "))
        served[path] = {method.lower() for method in allow - {"OPTIONS", "HEAD"}}
    patterns = {get_resolver().resolve(p.format(id=1, folder="model_updates", kind="json")).route for p in served}

    described = {path: set(entry) - {"parameters"} for path, entry in document["paths"].items()}

    assert described == served
    assert patterns == {str(pattern.pattern) for pattern in urls.urlpatterns[:-1]}  # the last: there is nothing here


def test_names_of_calls_are_unique(document):
    names = [o["operationId"] for p in document["paths"].values() for m, o in p.items() if m != "parameters"]

    assert len(names) == len(set(names))


def test_answers_have_the_described_fields(world, answers):
    fields = {**MODEL, "developer": world.users["owner"].pk, "allow_aggregation": True, "initial_model": INITIAL}
    login = {"username": "owner", "password": PASSWORD}
    answers.check(world.anonymous.post("/api-token-auth/", login), "obtain_token")
    answers.check(world.anonymous.get(""), "root")
    model = answers.check(world.owner.post("models/", fields), "create_model")["id"]
    answers.check(world.owner.get("models/"), "list_models")
    joined = answers.check(world.anonymous.post(f"models/{model}/register_client/"), "register_client")
    client = type(world.anonymous)(**{"CLIENT-UUID": joined["uuid"]})
    assert answers.check(client.get(f"models/{model}/get_latest_aggregate/"), "get_latest_aggregate") == {}
    answers.check(client.get(f"models/{model}/get_latest_model/"), "get_latest_model")
    answers.check(client.get(f"models/{model}/get_current_artifact/"), "get_current_artifact")
    answers.check(world.send(client, model, INITIAL), "create_update")
    world.work()
    answers.check(world.owner.get("model_updates/"), "list_updates")
    number = answers.check(client.get(f"models/{model}/get_latest_aggregate/"), "get_latest_aggregate")["id"]
    answers.check(client.get(f"models/{model}/get_latest_model/"), "get_latest_model")
    answers.check(client.get(f"model_aggregates/{number}/"), "get_aggregate")
    answers.check(world.owner.get("model_aggregates/"), "list_aggregates")
    score = {"aggregate": number, "client": joined["uuid"], "validation_results": {"f1": 0.5}}
    answers.check(client.post("client_aggregate_scores/", score), "create_score")
    answers.check(client.get("client_aggregate_scores/"), "list_scores")
    published = world.owner.post(f"model_aggregates/{number}/publish_aggregate/", {"version": "1.1.0"})
    answers.check(published, "publish_aggregate")

    assert len(answers.seen) == 15


def test_refusals_have_the_described_fields(world, answers):
    assert "detail" in answers.check(world.anonymous.get("models/"), "list_models")
    assert "detail" in answers.check(world.owner.get("models/999/"), "get_model")
    assert "name" in answers.check(world.owner.post("models/", {}), "create_model")


@pytest.mark.parametrize("collection", ["models", "model_updates", "model_aggregates", "client_aggregate_scores"])
def test_fields_that_are_asked_for_are_those_that_are_described(world, document, collection):
    asked = set(read(world.owner.post(f"{collection}/", {})))
    body = document["paths"][f"/api/v1/{collection}/"]["post"]["requestBody"]["content"]
    (name,) = {content["schema"]["$ref"].rsplit("/", 1)[1] for content in body.values() if "$ref" in content["schema"]}

    required = set(document["components"]["schemas"][name]["required"])

    assert asked - {"client"} == required - {"client"}  # who is a client need not say who it is
