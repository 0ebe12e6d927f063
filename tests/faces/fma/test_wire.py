"""Bodies, lists, errors and addresses, as they go over the wire."""

import json

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from tests.faces.fma.conftest import PASSWORD, Api, read

from foedus.core.arrays import Arrays
from foedus.core.codecs import safetensors
from foedus.faces.fma.limits import LIMITS
from foedus.services.aggregation import files

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def model(world):
    return world.model(initial_model=[0.0, 0.0], allow_aggregation=False)


@pytest.fixture
def client(world, model):
    return world.join(model)


@pytest.mark.parametrize("path", ["models", "models/", "models.json", "models/?format=json", "models/?format=api"])
def test_addresses_come_with_and_without_a_slash(world, model, path):
    assert [row["id"] for row in world.owner.get(path).json()] == [model]


def test_posting_without_the_last_slash_works(world, client, model):
    assert client.post("model_updates", {"federated_model": model, "data": [1, 2]}).status_code == 201
    for path in ("/api-token-auth", "/api-token-auth/"):
        assert world.anonymous.post(path, {"username": "owner", "password": PASSWORD}).status_code == 200


def test_the_root_names_the_collections(world):
    assert world.anonymous.get("").json()["models"] == "http://testserver/api/v1/models/"


@pytest.mark.parametrize("path", ["users/", "models/abc/", "models/1/launch/", "clients/", "/mediafiles/x.json"])
def test_what_is_nowhere_says_so_in_json(world, path):
    response = world.owner.get(path)

    assert response.status_code == 404
    assert response.json() == {"detail": "Not found."}


def test_another_method_is_refused_by_name(world, model):
    response = world.owner.get(f"models/{model}/register_client/")

    assert response.status_code == 405
    assert response.json() == {"detail": 'Method "GET" not allowed.'}
    assert response.headers["Allow"] == "OPTIONS, POST"


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (b"{", "JSON parse error - "),
        (b'{"federated_model": 1, "data": [1, NaN]}', "JSON parse error - "),
        (b'{"federated_model": 1, "data": [1, 2]} x', "JSON parse error - "),
        (b'{"data": [1], "data": [2]}', "JSON parse error - "),
        (b"[1]", "Expected a dictionary, but got list."),
        (b'{"federated_model": 1, "data": nil}', "JSON parse error - "),
    ],
)
def test_what_is_not_json_is_refused(client, body, answer):
    response = client.post("model_updates/", data=body)

    assert response.status_code == 400
    assert answer in response.content.decode()


@pytest.mark.parametrize(
    ("fields", "errors"),
    [
        ({}, {"federated_model": ["This field is required."], "data": ["No file was submitted."]}),
        ({"federated_model": 99, "data": [1]}, {"federated_model": ['Invalid pk "99" - object does not exist.']}),
        ({"data": None, "federated_model": 1}, {"data": ["This field may not be null."]}),
        (
            {"federated_model": "x", "data": [1]},
            {"federated_model": ["Incorrect type. Expected pk value, received str."]},
        ),
    ],
)
def test_wrong_fields_of_an_update_are_named(client, fields, errors):
    response = client.post("model_updates/", fields)

    assert response.status_code == 400
    assert response.json() == errors


def test_other_types_of_bodies_are_refused(client):
    response = client.post("model_updates/", data=b"1", content_type="text/plain")

    assert response.status_code == 415
    assert response.json() == {"detail": 'Unsupported media type "text/plain" in request.'}


def test_a_form_brings_weights_as_text_or_as_a_file(client, model):
    as_text = client.upload("model_updates/", federated_model=model, data="[1, 2]")
    as_file = client.upload("model_updates/", federated_model=model, data=SimpleUploadedFile("u.json", b"[3, 4]"))
    tensors = safetensors.encode(Arrays({"weights": np.array([5.0, 6.0], np.float32)}))
    as_tensors = client.upload(
        "model_updates/", federated_model=model, data=SimpleUploadedFile("u.safetensors", tensors)
    )

    found = [read(client.get(answer.json()["data"])) for answer in (as_text, as_file, as_tensors)]
    assert found == [[1, 2], [3, 4], [5, 6]]


def test_tensors_come_as_a_body_of_their_own(world, client, model):
    tensors = safetensors.encode(Arrays({"weights": np.array([5.0, 6.0])}))

    response = client.post(
        f"model_updates/?federated_model={model}", data=tensors, content_type="application/vnd.safetensors"
    )

    assert response.status_code == 201
    path = response.json()["data"].replace(".json", ".safetensors").removeprefix("http://testserver")
    fetched = b"".join(client.get(path).streaming_content)
    np.testing.assert_array_equal(safetensors.decode(fetched)["weights"], [5.0, 6.0])


def test_an_update_that_cannot_be_averaged_is_taken_and_its_developer_told(world, client, model):
    response = world.send(client, model, ["text"])

    row = world.owner.get(f"model_updates/{response.json()['id']}/").json()
    assert response.status_code == 201
    assert "reason" not in response.json()
    assert (row["status"], row["applied_aggregate"]) == (4, None)
    assert "other than numbers" in row["reason"]
    assert read(client.get(response.json()["data"])) == ["text"]


def test_developers_hand_in_for_a_client(world, client, model):
    fields = {"federated_model": model, "data": [1, 2]}

    assert world.owner.post("model_updates/", fields).json() == {"client": ["This field is required."]}
    sent = world.owner.post("model_updates/", {**fields, "client": client.uuid, "applied_aggregate": 7})
    assert (sent.status_code, sent.json()["status"], sent.json()["applied_aggregate"]) == (201, 0, None)


def test_an_update_may_be_corrected_until_it_is_used(world, client, model):
    number = world.send(client, model, ["text"]).json()["id"]

    patched = world.owner.patch(f"model_updates/{number}/", {"data": [1, 2]})
    assert (patched.status_code, patched.json()["status"]) == (200, 0)
    world.owner.patch(f"models/{model}/", {"allow_aggregation": True})
    world.work()
    used = world.owner.patch(f"model_updates/{number}/", {"data": [3, 4]})

    assert used.status_code == 409
    assert read(client.get(f"models/{model}/get_latest_model/"))["values"] == [1, 2]


def test_putting_a_model_without_permission_to_aggregate_pauses_it(world, model):
    fields = {"name": "n", "developer": world.users["owner"].pk, "aggregator": "avg_values_if_data"}
    world.owner.patch(f"models/{model}/", {"allow_aggregation": True})

    assert world.owner.put(f"models/{model}/", fields).json()["allow_aggregation"] is False
    assert world.owner.put(f"models/{model}/", {"name": "n"}).json() == {
        "aggregator": ["This field is required."], "developer": ["This field is required."],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "name", "message"),
    [
        ({"aggregator": "magic"}, "aggregator", '"magic" is not a valid choice.'),
        ({"requirement": "magic"}, "requirement", '"magic" is not a valid choice.'),
        ({"developer": 99}, "developer", 'Invalid pk "99" - object does not exist.'),
        ({"allow_aggregation": "perhaps"}, "allow_aggregation", "Must be a valid boolean."),
        ({"furthest_base_agg": 0}, "furthest_base_agg", "Ensure this value is greater than or equal to 1."),
        ({"furthest_base_agg": 2**31}, "furthest_base_agg", "Ensure this value is less than or equal to 2147483647."),
        ({"furthest_base_agg": "x"}, "furthest_base_agg", "A valid integer is required."),
        ({"name": ""}, "name", "This field may not be blank."),
        ({"name": "x" * 256}, "name", "Ensure this field has no more than 255 characters."),
        ({"name": "a\0b"}, "name", "Null characters are not allowed."),
        ({"clients": ["nobody"]}, "clients", 'Invalid pk "nobody" - object does not exist.'),
        ({"clients": "nobody"}, "clients", 'Expected a list of items but got type "str".'),
        ({"initial_model": None}, "initial_model", "This field may not be null."),
    ],
)
def test_wrong_fields_of_a_model_are_named(world, fields, name, message):
    base = {"name": "n", "developer": world.users["owner"].pk, "aggregator": "average_layers"}

    response = world.owner.post("models/", {**base, **fields})

    assert response.status_code == 400
    assert response.json() == {name: [message]}


def test_an_aggregate_is_uploaded_as_a_file(world, client, model):
    fields = {"federated_model": model, "result": SimpleUploadedFile("r.json", b"[7, 8]"), "validation_score": "0.5"}
    as_json = world.owner.post("model_aggregates/", {"federated_model": model, "result": [7, 8]})
    assert as_json.json() == {"result": ["The submitted data was not a file. Check the encoding type on the form."]}

    made = world.owner.upload("model_aggregates/", **fields).json()

    assert made["validation_score"] == 0.5
    assert read(client.get(f"models/{model}/get_latest_model/")) == {"values": [7, 8], "aggregate": made["id"]}
    assert world.owner.patch(f"model_aggregates/{made['id']}/", {"validation_score": "abc"}).json() == {
        "validation_score": ["A valid number is required."]
    }


@pytest.mark.parametrize(
    ("version", "message"),
    [({}, "This field is required."), ({"version": "1.0.0"}, "This model has an artifact of that version already.")],
)
def test_publishing_without_a_new_version_is_refused(world, client, model, version, message):
    made = world.owner.upload(
        "model_aggregates/", federated_model=model, result=SimpleUploadedFile("r.json", b"[7, 8]")
    )

    response = world.owner.post(f"model_aggregates/{made.json()['id']}/publish_aggregate/", version)

    assert response.status_code == 400
    assert response.json() == {"version": [message]}


def test_scores_need_a_client_and_an_aggregate(world, client, model):
    assert client.post("client_aggregate_scores/", {"aggregate": None, "client": None}).json() == {
        "validation_results": ["This field is required."],
        "aggregate": ["This field may not be null."],
        "client": ["This field may not be null."],
    }


def test_lists_are_pages_newest_first(world, client, model):
    numbers = [world.send(client, model, [i, i]).json()["id"] for i in range(12)]

    def listed(query=""):
        return [row["id"] for row in client.get(f"model_updates/{query}").json()]

    assert listed() == numbers[::-1][:10]
    assert listed("?page=2") == numbers[::-1][10:]
    assert listed("?page=last&page_size=5") == numbers[:2][::-1]
    assert listed("?ordering=created_on&page_size=3") == numbers[:3]
    assert listed("?page_size=999") == numbers[::-1]
    assert listed("?page_size=x&ordering=magic") == numbers[::-1][:10]
    for page in ("3", "0", "-1", "x", "9" * 40):
        response = client.get(f"model_updates/?page={page}")
        assert (response.status_code, response.json()) == (404, {"detail": "Invalid page."})


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("model_updates/?status=7", 400),
        ("model_updates/?status=x", 400),
        ("model_updates/?federated_model=999", 400),
        ("model_updates/?federated_model=x", 400),
        ("client_aggregate_scores/?client=x", 400),
        ("client_aggregate_scores/?aggregate=999", 400),
        ("model_aggregates/?federated_model=999", 400),
        ("models/?allow_aggregation=perhaps", 200),
    ],
)
def test_bad_filters_are_refused_but_booleans(world, path, status):
    response = world.owner.get(path)

    assert response.status_code == status
    if status == 400:
        assert "Select a valid choice." in response.content.decode()


def test_filters_choose(world, client, model):
    running = world.model(initial_model=[0.0])
    runner = world.join(running)
    good, bad = world.send(client, model, [1, 1]).json()["id"], world.send(client, model, "text").json()["id"]
    combining = world.send(runner, running, [1.0]).json()["id"]

    def listed(query):
        return [row["id"] for row in world.owner.get(query).json()]

    assert listed("model_updates/?status=0") == [good]
    assert listed("model_updates/?status=1") == [combining]
    assert listed("model_updates/?status=4") == [bad]
    assert listed(f"model_updates/?federated_model={running}") == [combining]
    assert listed("models/?allow_aggregation=true") == [running]
    assert listed("models/?allow_aggregation=false") == [model]


def test_signed_addresses_open_for_whoever_holds_them_until_they_expire(world, client, model, monkeypatch):
    address = client.get(f"models/{model}/get_current_artifact/?signed=true").json()["values"]

    assert read(world.anonymous.get(address)) == [0, 0]
    assert world.anonymous.get(address.replace("artifacts/", "updates/")).status_code == 401
    assert world.anonymous.get(address[:-1] + ("0" if address[-1] != "0" else "1")).status_code == 401
    later = timezone.now() + timezone.timedelta(seconds=2 * files.LIFETIME_S)
    monkeypatch.setattr("foedus.faces.fma.calls.timezone.now", lambda: later)
    assert world.anonymous.get(address).json() == {"detail": "This address has expired; ask for another."}


def test_registering_too_often_is_throttled(world, model):
    LIMITS.configure(1)

    answers = [world.anonymous.post(f"models/{model}/register_client/") for _ in range(4)]

    assert answers[-1].status_code == 429
    assert answers[-1].json()["detail"].startswith("Request was throttled.")
    assert int(answers[-1].headers["Retry-After"]) >= 1


def test_what_nobody_foresaw_is_answered_in_json(world, model, monkeypatch):
    monkeypatch.setattr("foedus.faces.fma.views.models.model_out", lambda row: 1 / 0)

    response = world.owner.get(f"models/{model}/")

    assert response.status_code == 500
    assert "its log has more" in response.json()["detail"]
    assert "ZeroDivisionError" not in response.content.decode()


def test_a_form_makes_a_model(world):
    developer = world.users["owner"].pk
    response = world.owner.upload(
        "models/", name="n", developer=developer, aggregator="average_layers", allow_aggregation="true",
        requirement="require_x_updates", requirement_args="[2]", initial_model=json.dumps([1, 2]),
    )  # fmt: skip

    assert response.status_code == 201
    assert response.json()["requirement_args"] == [2]
    assert response.json()["current_artifact"]


def test_a_body_without_a_length_is_refused(client):
    response = client.post("model_updates/", data=b"", **{"Transfer-Encoding": "chunked", "Content-Length": ""})

    assert response.status_code == 411


def test_sniffing_and_framing_are_off(world):
    headers = Api().get("").headers

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
