"""Projects over the wire: looked at by everybody they concern, made and changed by staff."""

import pytest
from tests.faces.flaas.conftest import Api
from tests.fleets import SMALL, Fleet, staff, weights

from foedus.records.fleet.models import FleetProject
from foedus.records.learning.models import Project
from foedus.server.lanes import do_due_jobs
from foedus.services.fleet import objects

pytestmark = pytest.mark.django_db(transaction=True)

FIELDS = {"title": "Study", "dataset_type": "IID", "training_mode": "BASELINE", "model": SMALL}
SHOWN = {
    "id", "create_date", "title", "description", "status", "model", "dataset", "dataset_type", "training_mode",
    "number_of_rounds", "number_of_apps", "number_of_samples", "number_of_epochs", "responses_ratio_threshold",
    "max_training_time", "valid_round_training_threshold", "power_plugged_only", "battery_level_threshold", "seed",
    "current_round",
}  # fmt: skip


@pytest.fixture
def operator(client, ports):
    objects.put(ports, f"models/{SMALL}.bin", [weights()])
    return Api(client).log_in(staff().username)


def test_a_project_is_made_with_the_defaults_that_operators_know(operator):
    answer = operator.post("project/", FIELDS)

    made = answer.json()
    assert answer.status_code == 201
    assert set(made) >= SHOWN
    assert (made["status"], made["responses_ratio_threshold"], made["valid_round_training_threshold"]) == (
        "Stopped", "0.80", "0.70",
    )  # fmt: skip
    assert (made["number_of_rounds"], made["max_training_time"], made["seed"], made["current_round"]) == (
        20, 60, 42524235, 0,
    )  # fmt: skip
    assert operator.get("project/").json() == [made]


def test_a_project_without_a_start_model_is_not_made_at_all(client, operator):
    answer = operator.post("project/", {**FIELDS, "model": "CIFAR10_B20"})

    assert answer.status_code == 400
    assert "models/CIFAR10_B20.bin" in answer.json()["model"][0]
    assert not Project.objects.exists()


@pytest.mark.parametrize("data", [b"", weights()[:-4], weights(float("nan"))], ids=["empty", "short", "NaN"])
def test_a_start_model_that_is_none_leaves_no_project(operator, ports, data):
    objects.put(ports, f"models/{SMALL}.bin", [data])

    answer = operator.post("project/", {**FIELDS, "status": "In Progress"})

    assert answer.status_code == 422
    assert not Project.objects.exists()
    assert not list(ports.blobs.list("projects/"))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", None), ("title", ""), ("title", "x" * 31), ("title", "a\0"), ("title", ["x"]), ("title", {}),
        ("status", "Going"), ("status", None), ("model", "../x"), ("model", "OTHER"), ("dataset", "MNIST"),
        ("dataset_type", "iid"), ("training_mode", "BOTH"), ("number_of_rounds", 0), ("number_of_rounds", -1),
        ("number_of_rounds", 1.5), ("number_of_rounds", "many"), ("number_of_rounds", 2**40),
        ("number_of_rounds", True), ("responses_ratio_threshold", "1.01"), ("responses_ratio_threshold", "-0.01"),
        ("responses_ratio_threshold", "0.123"), ("battery_level_threshold", "NaN"), ("max_training_time", 0),
        ("max_training_time", 10**9), ("power_plugged_only", "perhaps"), ("power_plugged_only", 7), ("seed", -1),
        ("seed", 2**31), ("ratio_basis", "x"),
    ],
)  # fmt: skip
def test_a_field_that_is_wrong_is_named_and_nothing_is_made(operator, field, value):
    answer = operator.post("project/", {**FIELDS, field: value})

    assert (answer.status_code, list(answer.json())) == (400, [field])
    assert not Project.objects.exists()


def test_all_required_fields_are_asked_for_at_once(operator):
    assert set(operator.post("project/", {}).json()) == {"title", "dataset_type", "training_mode"}


def test_a_title_is_taken_once(operator):
    operator.post("project/", FIELDS)

    answer = operator.post("project/", FIELDS)

    assert (answer.status_code, list(answer.json())) == (400, ["title"])


def test_a_change_takes_some_fields_and_leaves_the_others(operator):
    pk = operator.post("project/", FIELDS).json()["id"]

    changed = operator.put(
        f"project/{pk}/", {"status": "In Progress", "number_of_rounds": 5, "current_round": 9}
    ).json()

    assert (changed["status"], changed["number_of_rounds"], changed["current_round"]) == ("In Progress", 5, 0)
    assert changed["title"] == "Study"
    assert operator.get(f"project/{pk}/").json() == changed


def test_the_model_cannot_be_changed_once_there_are_rounds(operator, ports):
    objects.put(ports, "models/CIFAR10_B20.bin", [weights(name="CIFAR10_B20")])
    pk = operator.post("project/", FIELDS).json()["id"]
    assert operator.put(f"project/{pk}/", {"model": "CIFAR10_B20"}).status_code == 200
    assert len(operator.get(f"project/{pk}/get-model/0/").content) == 2_508_840
    operator.put(f"project/{pk}/", {"status": "In Progress"})

    answer = operator.put(f"project/{pk}/", {"model": SMALL})

    assert answer.status_code == 409
    assert FleetProject.objects.get(pk=pk).model == "CIFAR10_B20"


def test_a_deleted_project_takes_its_rounds_and_models_along(operator, ports):
    pk = operator.post("project/", {**FIELDS, "status": "In Progress"}).json()["id"]

    answer = operator.delete(f"project/{pk}/")

    assert answer.status_code == 200
    assert operator.get(f"project/{pk}/").status_code == 404
    do_due_jobs(ports)
    assert not list(ports.blobs.list("projects/"))


def test_phones_change_no_projects(ports, clock, phones):
    fleet = Fleet.create(ports, clock, 1)
    (phone,) = phones(fleet)

    answers = [
        phone.post("project/", FIELDS),
        phone.put(f"project/{fleet.pk}/", {"status": "Stopped"}),
        phone.delete(f"project/{fleet.pk}/"),
    ]

    assert [answer.status_code for answer in answers] == [403] * 3
    assert answers[0].json() == {"detail": "You do not have permission to perform this action."}
    assert phone.get(f"project/{fleet.pk}/").json()["status"] == "In Progress"


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PATCH", "project/", "GET, POST, HEAD, OPTIONS"),
        ("DELETE", "report-availability", "POST, OPTIONS"),
        ("GET", "report-availability", "POST, OPTIONS"),
        ("POST", "project/1/get-model/0/", "GET, HEAD, OPTIONS"),
        ("GET", "project/1/submit-model/0/model_weights.bin", "POST, OPTIONS"),
        ("POST", "project/1/join-round/0/", "GET, HEAD, OPTIONS"),
    ],
)
def test_a_wrong_method_is_named_with_those_that_there_are(operator, method, path, allow):
    answer = operator.call(method, path)

    assert (answer.status_code, answer.json()) == (405, {"detail": f'Method "{method}" not allowed.'})
    assert answer.headers["allow"] == allow


@pytest.mark.parametrize("path", ["", "nothing/", "project/x/", "project/1/get-model/", "project/" + "9" * 5000 + "/"])
def test_addresses_that_are_not_there_are_answered_by_a_page(operator, path):
    answer = operator.get(path)

    assert answer.status_code == 404
    assert "text/html" in answer.headers["content-type"]


@pytest.mark.parametrize("pk", ["0", "999", "9" * 18])
def test_projects_that_are_not_there_are_not_found(operator, pk):
    for path in (f"project/{pk}/", f"project/{pk}/get-model/0/"):
        answer = operator.get(path)
        assert (answer.status_code, answer.json()) == (404, {"detail": "Not found."})


def test_json_that_is_none_is_explained(operator):
    answer = operator.post("project/", content=b"{", headers={"Content-Type": "application/json"})

    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("JSON parse error")


def test_bodies_of_other_types_are_refused(operator):
    answer = operator.post("project/", content=b"x", headers={"Content-Type": "text/plain"})

    assert (answer.status_code, answer.json()) == (
        415, {"detail": 'Unsupported media type "text/plain" in request.'},
    )  # fmt: skip
