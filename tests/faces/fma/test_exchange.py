"""The whole exchange of a developer and two clients, answer by answer."""

import ast
import re

import pytest
from tests.faces.fma.conftest import INITIAL, PASSWORD, read

pytestmark = pytest.mark.django_db(transaction=True)

SCHEMA = {
    "type": "array",
    "prefixItems": [
        {"type": "array", "minItems": 2, "maxItems": 2},
        {"type": "array", "minItems": 1, "maxItems": 1},
    ],
    "items": False,
}
RESULTS = {"type": "object", "required": ["f1_score"], "properties": {"f1_score": {"type": "number", "maximum": 1}}}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
BASE = "http://testserver/mediafiles/"


def without_times(answer):
    """An answer without its moments, after a look at how they are written."""
    for name in ("created_on", "last_modified"):
        if name in answer:
            assert TIME.fullmatch(answer.pop(name))
    return answer


def schema_named_in(message, word):
    """The schema that an error names; some databases keep an object's keys in another order."""
    text = message.removeprefix(f"{word} did not match the required schema: ")
    assert text != message
    return ast.literal_eval(text)


def test_the_whole_exchange(world):  # noqa: PLR0915 - one exchange, in its order
    token = world.anonymous.post("/api-token-auth/", {"username": "owner", "password": PASSWORD})
    assert re.fullmatch("[0-9a-f]{40}", token.json()["token"])
    developer = world.users["owner"].pk
    created = world.owner.post(
        "models/",
        {
            "name": "demo", "developer": developer, "aggregator": "average_layers", "requirement": "all_clients",
            "allow_aggregation": True, "initial_model": INITIAL, "update_schema": SCHEMA,
            "client_agg_results_schema": RESULTS,
        },
    )  # fmt: skip
    assert created.status_code == 201
    order = list(created.json())
    artifact = created.json()["current_artifact"]
    model = created.json()["id"]
    described = {
        "id": model, "allow_aggregation": True, "aggregator": "average_layers", "requirement": "all_clients",
        "name": "demo", "requirement_args": None, "update_schema": SCHEMA, "client_agg_results_schema": RESULTS,
        "furthest_base_agg": None, "developer": developer, "current_artifact": artifact, "clients": [],
    }  # fmt: skip
    assert without_times(created.json()) == described
    assert order == [*list(described)[:9], "created_on", "last_modified", *list(described)[9:]]

    a, b = world.join(model), world.join(model)
    assert world.anonymous.post(f"models/{model}/register_client/", **{"CLIENT-UUID": a.uuid}).json() == {
        "uuid": a.uuid
    }
    assert a.get(f"models/{model}/get_latest_aggregate/").json() == {}
    assert read(a.get(f"models/{model}/get_latest_model/")) == {"values": INITIAL, "aggregate": None}
    current = without_times(a.get(f"models/{model}/get_current_artifact/").json())
    assert current == {
        "id": artifact, "values": f"/mediafiles/model_artifacts/{artifact}.json", "version": "1.0.0",
        "federated_model": model,
    }  # fmt: skip
    file = a.get(current["values"])
    assert file.headers["Content-Type"] == "application/octet-stream"
    assert read(file) == INITIAL

    wrong = world.send(a, model, [[1], [3]])
    assert wrong.status_code == 400
    assert schema_named_in(wrong.json()["data"][0], "data") == SCHEMA
    first = world.send(a, model, [[1, 2], [3]])
    assert first.status_code == 201
    sent = without_times(first.json())
    assert sent == {
        "id": sent["id"], "data": f"{BASE}model_updates/{sent['id']}.json", "client": a.uuid,
        "federated_model": model, "base_aggregate": None,
    }  # fmt: skip
    world.send(b, model, [[3, 4], [4]])
    assert a.get(f"models/{model}/get_latest_aggregate/").json() == {}
    world.work()

    latest = without_times(a.get(f"models/{model}/get_latest_aggregate/").json())
    number = latest["id"]
    assert latest == {
        "id": number, "result": f"/mediafiles/model_aggregates/{number}.json", "validation_score": None, "lft": 1,
        "rght": 2, "tree_id": number, "level": 0, "federated_model": model, "parent": None,
    }  # fmt: skip
    mean = [[2.0, 3.0], [3.5]]
    assert read(a.get(latest["result"])) == mean
    assert read(b.get(f"models/{model}/get_latest_model/")) == {"values": mean, "aggregate": number}
    inline = read(a.get(f"model_aggregates/{number}/"))
    assert inline.pop("result") == mean
    assert list(inline)[:3] == ["id", "validation_score", "created_on"]

    results = {
        "validation_results": {"f1_score": 0.7}, "federated_model": model, "aggregate": number, "client": a.uuid,
    }  # fmt: skip
    scored = a.post("client_aggregate_scores/", results)
    assert scored.status_code == 201
    score = without_times(scored.json())
    assert score == {
        "id": score["id"], "validation_results": {"f1_score": 0.7}, "aggregate": number, "client": a.uuid,
    }  # fmt: skip
    again = a.post("client_aggregate_scores/", results)
    assert again.status_code == 400
    assert again.json() == {"non_field_errors": ["The fields aggregate, client must make a unique set."]}
    bad = b.post("client_aggregate_scores/", {**results, "client": b.uuid, "validation_results": {"f1_score": 7}})
    assert schema_named_in(bad.json()["results"][0], "results") == RESULTS

    third = world.send(a, model, [[5, 6], [7]], base=number).json()
    listed = world.owner.get(f"model_updates/?federated_model={model}&ordering=created_on").json()
    assert [(row["status"], row["applied_aggregate"]) for row in listed] == [(2, number), (2, number), (0, None)]
    assert without_times(listed[2]) == {
        "id": third["id"], "data": third["data"], "status": 0, "client": a.uuid, "federated_model": model,
        "base_aggregate": number, "applied_aggregate": None,
    }  # fmt: skip

    hand = world.owner.patch(f"model_aggregates/{number}/", {"validation_score": 0.9}).json()
    assert (hand["validation_score"], hand["result"]) == (0.9, f"{BASE}model_aggregates/{number}.json")
    published = world.owner.post(f"model_aggregates/{number}/publish_aggregate/", {"version": "1.1.0"})
    assert published.status_code == 201
    assert a.get(f"models/{model}/get_current_artifact/").json() == published.json()
    assert read(a.get(published.json()["values"])) == mean
    paused = world.owner.patch(f"models/{model}/", {"allow_aggregation": False}).json()
    assert without_times(paused) == {
        **described, "allow_aggregation": False, "clients": [a.uuid, b.uuid],
        "current_artifact": published.json()["id"],
    }  # fmt: skip
    assert world.owner.delete(f"models/{model}/").status_code == 204
    assert world.owner.get(f"models/{model}/").status_code == 404
