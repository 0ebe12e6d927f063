"""Statistics projects and customers over the native API: whose they are, and who is refused."""

import pytest
from tests.faces.native.conftest import is_problem

from foedus.records.customers.models import Customer
from foedus.records.statistics.models import StatisticsProject


def test_an_operator_makes_customers_and_their_projects(acme):
    added = acme.post("customers", {"cid": "lab"})

    assert added.status_code == 201
    assert len(added.json()["secret_key"]) == 24
    assert acme.get("customers").json()["items"][0]["valid_keys"] == 1
    made = acme.post("statistics/lab/projects", {"name": "blood count", "params": {"a": "b"}})
    assert (made.status_code, made.json()["rows"], made.json()["attributes"]) == (201, 0, [])
    assert made.json()["plan"] == {"targets": [], "products": True, "sketches": False}
    assert acme.get("statistics/lab/projects").json()["items"][0]["name"] == "blood count"
    assert acme.get("statistics/lab/projects/blood%20count").json()["version"] == 0
    assert acme.delete("statistics/lab/projects/blood%20count").status_code == 204
    assert StatisticsProject.objects.count() == 0


def test_another_organisation_sees_neither(acme, rival):
    acme.post("customers", {"cid": "lab"})
    acme.post("statistics/lab/projects", {"name": "blood"})

    assert rival.get("customers").json()["items"] == []
    for answer in (
        rival.get("statistics/lab/projects"), rival.get("statistics/lab/projects/blood"),
        rival.post("statistics/lab/projects/blood/explore", {"metric": "uni", "inputs": ["x"]}),
        rival.post("statistics/lab/projects/blood/models", {"name": "m", "algorithm": "mlr", "inputs": ["x"]}),
        rival.get("statistics/lab/projects/blood/models"), rival.get("statistics/lab/projects/blood/models/m"),
        rival.get("statistics/lab/projects/blood/models/m/export"),
        rival.delete("statistics/lab/projects/blood/models/m"),
        rival.post("statistics/lab/projects/blood/models/m/predictions", {"columns": {}}),
        rival.post("statistics/lab/projects", {"name": "x"}), rival.delete("statistics/lab/projects/blood"),
    ):  # fmt: skip
        assert is_problem(answer, 404, "not_found")
    assert is_problem(rival.post("customers", {"cid": "lab"}), 409, "conflict")


def test_participants_make_no_customers(acme, training):
    assert is_problem(training[0].post("customers", {"cid": "lab"}), 403, "forbidden")
    assert Customer.objects.count() == 0


def test_a_project_that_is_none_or_taken_is_told(acme):
    acme.post("customers", {"cid": "lab"})
    acme.post("statistics/lab/projects", {"name": "blood"})

    assert is_problem(acme.get("statistics/lab/projects/none"), 404, "not_found")
    assert is_problem(acme.post("statistics/lab/projects", {"name": "blood"}), 409, "conflict")
    assert is_problem(acme.post("statistics/lab/projects", {"name": "a/b"}), 422, "invalid")


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        ("explore", {"metric": "uni"}, "column"), ("explore", {"metric": "uni", "inputs": ["a"], "why": 1}, "why"),
        ("models", {"name": "m", "algorithm": "mlr", "inputs": ["a"], "targets": "b"}, "targets"),
        ("models/m/predictions", {"columns": {"a": [1, 2], "b": [1]}}, "differ in length"),
        ("models/m/predictions", {"columns": {"a": [[1]]}}, "columns"),
    ],
)  # fmt: skip
def test_questions_that_make_no_sense_are_told_why(acme, path, body, reason):
    acme.post("customers", {"cid": "lab"})
    acme.post("statistics/lab/projects", {"name": "blood"})

    answer = acme.post(f"statistics/lab/projects/blood/{path}", body)

    assert is_problem(answer, 422, "invalid")
    assert reason in answer.json()["detail"]


def test_a_model_that_is_none_is_told(acme):
    acme.post("customers", {"cid": "lab"})
    acme.post("statistics/lab/projects", {"name": "blood"})

    for answer in (
        acme.get("statistics/lab/projects/blood/models/m"), acme.delete("statistics/lab/projects/blood/models/m"),
        acme.get("statistics/lab/projects/blood/models/m/export"),
        acme.post("statistics/lab/projects/blood/models/m/predictions", {"columns": {}}),
    ):  # fmt: skip
        assert is_problem(answer, 404, "not_found")
