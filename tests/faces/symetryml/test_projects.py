"""Projects over REST: the codes and texts that clients match on, and what is left of hostile calls."""

import base64

import pytest
from tests.faces.symetryml.conftest import said, values

from foedus.records.statistics.models import StatisticsProject

FRAME = {
    "attributeNames": ["age", "bmi", "smoker", "ward"],
    "attributeTypes": ["C", "C", "B", "T"],
    "data": [["41", "27.5", "0", "North"], ["58", "31", "1", "south"], [None, "", "1", "north"]],
}


def info(api, name="p1"):
    return values(api.get(f"projects/{name}/info"))["smlInfo"]


def test_a_project_is_made_listed_described_and_removed(c1):
    assert said(c1.post("projects?pid=p1&type=cpu&persist=true&enableHistogram=false", {})) == (
        201, "CREATED", "Project Created with id:p1",
    )  # fmt: skip
    assert values(c1.get("projects/list")) == {"stringList": {"values": ["p1"]}}
    about = info(c1)
    assert (about["pid"], about["type"], about["persisted"], about["histogramEnabled"]) == ("p1", "cpu", True, False)
    assert said(c1.delete("projects/p1")) == (200, "OK", "deleted Project with id[p1] from Customer[c1] store")
    assert said(c1.delete("projects/p1")) == (
        400, "BAD_REQUEST", "Customer[c1] does not have Project with id[p1], ",
    )  # fmt: skip


def test_there_is_one_project_of_a_name(c1):
    c1.project()

    assert said(c1.post("projects?pid=p1")) == (
        409, "CONFLICT", "Customer [c1] already have SYMETRYML with id[p1], ",
    )  # fmt: skip


@pytest.mark.parametrize(
    "body", [{"sml_project_autosave": "true"}, {"values": [{"sml_project_autosave": "true"}]}, None]
)
def test_parameters_come_flat_wrapped_or_not_at_all(c1, body):
    assert c1.post("projects?pid=p1", body).status_code == 201
    assert info(c1)["params"]["sml_project_autosave"] == "true"


@pytest.mark.parametrize(
    "path", ["projects?pid=a/b", "projects?pid=", "projects", "projects?pid=a:b", "projects?pid=p&type=mystery",
             "projects?pid=p&persist=maybe", "projects?pid=a&pid=b", "projects?pid=%ff", "projects?pid=" + "x" * 201],
)  # fmt: skip
def test_a_project_that_cannot_be_is_refused(c1, path):
    assert said(c1.post(path, {}))[:2] == (400, "BAD_REQUEST")
    assert StatisticsProject.objects.count() == 0


def test_learning_is_seen_in_the_project(c1):
    c1.project()

    assert said(c1.post("projects/p1/learn", FRAME)) == (200, "OK", "OK")

    about = info(c1)
    assert about["attributeNames"] == ["age", "bmi", "smoker", "ward$north", "ward$south"]
    assert about["attributeIndexes"] == [0, 1, 2, 3, 4]
    assert about["attributeTypes"] == ["C", "C", "B", "B", "B"]
    assert about["count"] == 3


def test_forgetting_takes_back_what_was_learned(c1):
    c1.project()
    c1.post("projects/p1/learn", FRAME)
    c1.post("projects/p1/learn?async=false", FRAME)

    assert said(c1.post("projects/p1/forget", FRAME)) == (200, "OK", "OK")

    assert info(c1)["count"] == 3


@pytest.mark.parametrize("call", ["learn", "forget"])
def test_a_job_learns_and_forgets_too(c1, call):
    c1.project()
    c1.post("projects/p1/learn", FRAME)

    accepted = c1.post(f"projects/p1/{call}?async=true", FRAME)

    number = accepted.headers["sym-job-id"]
    assert said(accepted) == (202, "ACCEPTED", "Job Created")
    assert accepted.headers["location"] == f"http://testserver/symetry/rest/c1/jobs/{number}"
    assert said(c1.get(f"jobs/{number}")) == (202, "ACCEPTED", "Job still running")
    assert said(c1.job(accepted)) == (200, "OK", "Job is finished")
    assert said(c1.get(f"jobs/{number}")) == (200, "OK", "Job is finished")  # and is not gone for having been asked
    assert info(c1)["count"] == {"learn": 6, "forget": 0}[call]


def test_rows_of_a_job_are_sealed_while_they_wait_and_gone_afterwards(c1, ports):
    c1.project()
    accepted = c1.post("projects/p1/learn?async=true", FRAME)

    (blob,) = ports.blobs.list("jobs/")
    assert b"South" not in b"".join(ports.blobs.read(blob.key))
    c1.job(accepted)

    assert list(ports.blobs.list("jobs/")) == []


def test_a_job_that_failed_says_why(c1):
    c1.project()

    failed = c1.job(c1.post("projects/p1/learn?async=true", {**FRAME, "data": [["x", 1, 1, "a"]]}))

    assert said(failed)[:2] == (500, "INTERNAL_SERVER_ERROR")
    assert "row 0, attribute 'age'" in failed.json()["statusString"]
    assert info(c1)["count"] == 0


def test_a_job_that_waits_can_be_killed(c1):
    c1.project()
    accepted = c1.post("projects/p1/learn?async=true", FRAME)
    number = accepted.headers["sym-job-id"]

    assert c1.delete(f"jobs/{number}").status_code == 200
    assert said(c1.job(accepted)) == (400, "BAD_REQUEST", "No such job")
    assert info(c1)["count"] == 0


@pytest.mark.parametrize("number", ["999", "x", "-1", "9" * 30])
def test_a_job_that_is_none_is_told(c1, number):
    assert said(c1.get(f"jobs/{number}")) == (400, "BAD_REQUEST", "No such job")


def test_anothers_job_is_none(c1, c2):
    c1.project()
    number = c1.post("projects/p1/learn?async=true", FRAME).headers["sym-job-id"]

    assert said(c2.get(f"jobs/{number}")) == (400, "BAD_REQUEST", "No such job")


def test_a_project_is_renamed_unless_the_name_is_taken(c1):
    c1.project("p1")
    c1.project("p2")

    assert said(c1.get("projects/p1/rename?newName=p2"))[:2] == (409, "CONFLICT")
    assert c1.get("projects/p1/rename?newName=p3").status_code == 201
    assert values(c1.get("projects/list"))["stringList"]["values"] == ["p2", "p3"]


def test_merging_adds_the_other_project_which_stays(c1):
    for name in ("p1", "p2"):
        c1.project(name)
        c1.post(f"projects/{name}/learn", FRAME)

    assert c1.get("projects/p1/merge?otherProjectName=p2").status_code == 200

    assert (info(c1, "p1")["count"], info(c1, "p2")["count"]) == (6, 3)
    assert c1.get("projects/p2/merge?otherProjectName=p2").status_code == 400
    assert info(c1, "p2")["count"] == 3


def test_a_frozen_project_does_not_learn(c1):
    c1.project()

    assert c1.get("projects/p1/freeze").status_code == 200
    assert said(c1.post("projects/p1/learn", FRAME))[:2] == (409, "CONFLICT")
    assert info(c1)["params"]["sml_project_is_freeze"] == "true"
    assert c1.get("projects/p1/unfreeze").status_code == 200
    assert c1.post("projects/p1/learn", FRAME).status_code == 200


@pytest.mark.parametrize("call", ["save", "freeze", "unfreeze", "unload", "info", "export", "getDsLog", "getLFStats"])
def test_what_is_done_to_a_project_needs_one(c1, call):
    assert said(c1.get(f"projects/none/{call}")) == (
        400, "BAD_REQUEST", "Cannot Find SYMETRYML id[none] for Customer id [c1]",
    )  # fmt: skip


def test_what_was_never_saved_is_lost_by_unloading(c1):
    c1.post("projects?pid=p1", {"sml_project_autosave": "false"})
    c1.post("projects?pid=p2", {"sml_project_autosave": "false"})
    c1.get("projects/p2/save")

    for name in ("p1", "p2"):
        assert c1.get(f"projects/{name}/unload").status_code == 200

    assert values(c1.get("projects/list"))["stringList"]["values"] == ["p2"]


def test_a_project_is_exported_and_imported(c1, c2):
    c1.project()
    c1.post("projects/p1/learn", FRAME)

    text = values(c1.get("projects/p1/export"))["string"]
    assert c2.post("projects/copy/import?persist=true", text.encode()).status_code == 201

    mine, theirs = info(c1), info(c2, "copy")
    assert (theirs["attributeNames"], theirs["count"]) == (mine["attributeNames"], mine["count"])


@pytest.mark.parametrize("text", [b"", b"AAAA", base64.b64encode(b"{}"), base64.b64encode(b'{"format":1}')])
def test_what_is_no_export_is_not_imported(c1, text):
    assert said(c1.post("projects/p1/import", text))[:2] == (400, "BAD_REQUEST")
    assert StatisticsProject.objects.count() == 0


def test_all_projects_are_described_by_a_job_or_at_once(c1):
    c1.project()

    assert values(c1.get("projects/info?async=false"))["smlInfoList"]["values"][0]["pid"] == "p1"
    assert values(c1.job(c1.get("projects/info")))["smlInfoList"]["values"][0]["pid"] == "p1"


def test_a_transformation_shows_the_columns_that_a_project_adds(c1):
    c1.project(sml_project_power_column="age", sml_project_power_min="2", sml_project_power_steps="1")

    found = values(c1.post("projects/p1/transform", {**FRAME, "data": FRAME["data"][:1]}))["dataframe"]

    assert found["attributeNames"] == [*FRAME["attributeNames"], "pt_age^2"]
    age = float(FRAME["data"][0][0])
    assert found["data"] == [[*FRAME["data"][0], pytest.approx(((age + 1) ** 2 - 1) / 2)]]


def test_rows_come_back_from_a_plain_transformation(c1):
    c1.project()

    assert values(c1.post("projects/p1/transform", FRAME))["dataframe"] == FRAME


def test_histograms_are_kept_from_the_first_row_on(c1):
    c1.project()

    assert c1.post("projects/p1/histogramEnable?enable=true").status_code == 200
    assert info(c1)["histogramEnabled"]
    c1.post("projects/p1/learn", FRAME)
    assert said(c1.post("projects/p1/histogramEnable?enable=false"))[:2] == (409, "CONFLICT")


def test_text_of_many_values_is_learned_as_numbers_by_an_encoder(c1):
    c1.project()
    frame = {"attributeNames": ["zip", "y"], "attributeTypes": ["S", "C"], "data": [["a", 1], ["A ", 3], ["b", 10]]}

    assert c1.post("encoders/create?encodername=e&encoderTarget=y&targetType=C").status_code == 201
    assert c1.post("encoders/create?encodername=e&encoderTarget=y&targetType=C").status_code == 409
    assert c1.post("encoders/e/learn", frame).status_code == 200
    assert c1.get("projects/p1/encoderAssign?encoderName=e").status_code == 200
    assert c1.post("projects/p1/learn", frame).status_code == 200

    assert info(c1)["attributeNames"] == ["zip", "y"]
    seen = {each["value"]: each["mean"] for each in values(c1.get("encoders/e/keyvals/zip"))["KSVSMap"]["values"]}
    assert seen == {"a": "2.0", "b": "10.0"}
    assert c1.post("encoders/e/keyvals/zip/setValue?value=c&count=2&sum=6").status_code == 200
    assert values(c1.get("encoders/e/stats"))["KSVSMap"]["values"] == [
        {"attribute": "zip", "values": "3", "count": "5"}
    ]
    assert c1.delete("encoders/e").status_code == 200
    assert values(c1.get("encoders"))["stringList"]["values"] == []


def test_a_body_that_is_too_large_is_refused(c1, app):
    c1.project()
    app.state.max_frame_bytes = 1000

    refused = c1.post("projects/p1/learn", b" " * 1001)

    assert said(refused)[:2] == (413, "REQUEST_ENTITY_TOO_LARGE")


@pytest.mark.parametrize("body", [b"{", b"[" * 5000, b"\xff", b'{"a":1,"a":2}', b"null", b""])
def test_what_is_no_frame_is_refused_in_the_envelope(c1, body):
    c1.project()

    assert said(c1.post("projects/p1/learn", body))[:2] == (400, "BAD_REQUEST")
    assert info(c1)["count"] == 0


def test_who_learned_how_much_is_told(c1):
    c1.project()
    c1.post("projects/p1/learn", FRAME, **{"sym-client": "nightly"})

    (total,) = values(c1.get("projects/p1/getLFStats"))["stringList"]["values"]
    assert (total["client"], total["kind"], total["status"], total["rows"]) == ("nightly", "learn", "ok", "3")
