"""Data sources over REST: told in sealed bodies, learned and forgotten as jobs, whole or not at all."""

import json
from dataclasses import replace

import pytest
from tests.faces.symetryml.conftest import SECRET, Symetry, said, values

from foedus import bootstrap
from foedus.connectors.contents import Terms
from foedus.connectors.found_sources import FoundSources
from foedus.connectors.internet import Guard
from foedus.records.customers.models import Customer
from foedus.records.shell.models import Job
from foedus.records.sources.models import DataSource
from foedus.records.statistics.models import StatisticsJob
from foedus.server import work
from foedus.services.customers import keys
from foedus.services.customers.bodies import Direction, open_legacy, seal_body, seal_legacy
from foedus.services.shell import jobs
from foedus.services.statistics import scoring, taking
from foedus.services.statistics.jobs import Running

CSV = "age,bmi,smoker\n41,27.5,no\n58,31,yes\n30,22.25,no\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "d.csv").write_text(CSV)
    return tmp_path / "open"


@pytest.fixture
def c1(app, portal, customers, ports, monkeypatch, folder):
    """A legacy customer of a server with local files."""
    made = replace(
        ports,
        sources=FoundSources(
            Terms(Guard(resolve=lambda host, _: [host]), folder=folder, folder_is_writable=True, scratch=folder.parent)
        ),
    )
    monkeypatch.setattr(bootstrap, "ports", lambda: made)
    app.state.ports = made
    customers(legacy=True)
    return Symetry(app, portal)


def sealed(value):
    return seal_legacy(SECRET, json.dumps(value).encode()).encode()


def told(client, name="d1", **info):
    body = {"type": "localfile", "name": name, "info": {"path": "d.csv", **info}, "extra": {}}
    return client.post("dss/create", sealed(body))


def test_a_source_is_told_shown_sealed_and_removed(c1):
    assert said(told(c1, password="orchid"))[:2] == (201, "CREATED")

    answer = values(c1.get("dss/d1"))["dsinfo"]

    assert values(c1.get("dss"))["stringList"]["values"] == ["d1:localfile"]
    assert json.loads(open_legacy(SECRET, answer.encode()))["info"] == {"path": "d.csv", "password": "orchid"}
    assert b"orchid" not in bytes(DataSource.objects.get().sealed)
    assert said(told(c1))[0] == 409
    assert c1.delete("dss/d1").status_code == 200
    assert c1.get("dss/d1").status_code == 400


def test_a_source_is_told_in_the_authenticated_form_too(c1, ports):
    customer = Customer.objects.get()
    key = keys.valid(ports, customer, customer.keys.all(), customer.created_at)[0]
    body = json.dumps({"type": "localfile", "name": "d1", "info": {"path": "d.csv"}}).encode()
    path = "/symetry/rest/c1/dss/create"

    answer = c1.post("dss/create", seal_body(key, body, Direction.REQUEST, "POST", path, "c1"))

    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize(
    "body",
    [b"{}", b'{"type":"localfile","name":"d1","info":{}}', b"AAAA", sealed([]), sealed({"type": "odd", "name": "d1"})],
)
def test_open_broken_and_unknown_bodies_are_refused(c1, body):
    assert c1.post("dss/create", body).status_code == 400
    assert not DataSource.objects.exists()


def test_updating_what_is_not_there_says_404(c1):
    body = sealed({"type": "localfile", "name": "d1", "info": {"path": "e.csv"}})

    assert c1.call("PUT", "dss/d1", body).status_code == 404
    told(c1)
    assert c1.call("PUT", "dss/d1", body).status_code == 200


def test_a_project_learns_a_source_and_forgets_it_again(c1):
    told(c1)
    p1 = c1.project()
    assert c1.get(f"projects/{p1}/addds/d1").status_code == 200

    info = values(c1.job(c1.post(f"projects/{p1}/dss/d1/learn", {"attributeNames": ["age"], "attributeTypes": ["C"]})))

    assert info["smlInfo"]["attributeNames"] == ["age", "bmi", "smoker$no", "smoker$yes"]
    assert (info["smlInfo"]["count"], info["smlInfo"]["dsList"]) == (3, ["d1"])
    assert c1.delete("dss/d1").status_code == 409
    assert values(c1.job(c1.get(f"projects/{p1}/dss/d1/forget")))["smlInfo"]["count"] == 0
    log = values(c1.get(f"projects/{p1}/getDsLog"))["stringList"]["values"]
    assert [(use["kind"], use["status"], use["rows"]) for use in log] == [("forget", "ok", "3"), ("learn", "ok", "3")]
    totals = values(c1.get(f"projects/{p1}/getLFStats"))["stringList"]["values"]
    assert {(each["kind"], each["rows"]) for each in totals} == {("forget", "3"), ("learn", "3")}


def test_a_file_with_a_wrong_row_at_its_end_changes_nothing_and_the_log_says_why(c1, folder):
    (folder / "d.csv").write_text("a,b\n" + "1,2\n" * 12_000 + "1\n")
    told(c1)
    p1 = c1.project()

    answer = c1.job(c1.get(f"projects/{p1}/dss/d1/learn"))

    assert answer.status_code == 500
    assert "12002" in said(answer)[2]
    assert values(c1.get(f"projects/{p1}/info"))["smlInfo"]["count"] == 0
    (use,) = values(c1.get(f"projects/{p1}/getDsLog"))["stringList"]["values"]
    assert use["status"] == "failed"
    assert "12002" in use["error"]


def test_a_worker_that_took_rows_and_lost_its_lease_adds_nothing(c1, folder):
    told(c1)
    p1 = c1.project()
    answer = c1.get(f"projects/{p1}/dss/d1/learn")
    row = StatisticsJob.objects.select_related("customer", "project__customer").get()
    lost = Job.objects.get()
    lost.lease_token = "another"

    with pytest.raises(jobs.Conflict):
        taking.learn_source(Running(bootstrap.ports(), row, lost, row.created_at))

    assert values(c1.job(answer))["smlInfo"]["count"] == 3


def test_previews_and_listings_show_what_is_there(c1, folder):
    (folder / "d.csv").write_text("n\n" + "1\n" * 500)
    told(c1)

    stored = values(c1.get("dss/d1/sample"))["dataframe"]
    named = values(c1.post("dss/sample/preview", sealed({"type": "localfile", "info": {"path": "d.csv"}})))["dataframe"]
    listing = values(c1.post("projects/dsbrowse", sealed({"type": "localfile", "path": "", "info": {}})))

    assert stored == named
    assert (len(stored["data"]), stored["attributeTypes"], stored["data"][0]) == (128, ["C"], ["1"])
    assert listing["dsdirectoryListing"]["files"] == ["d.csv"]


@pytest.mark.parametrize("info", [{"path": "../x.csv"}, {"path": "/etc/passwd"}, {"path": "none.csv"}])
def test_paths_that_lead_elsewhere_are_refused(c1, info):
    answer = c1.post("dss/sample/preview", sealed({"type": "localfile", "info": info}))

    assert answer.status_code in (400, 403)


def test_the_web_of_the_server_itself_is_closed(c1):
    body = sealed({"type": "http", "info": {"path": "http://169.254.169.254/latest/meta-data"}})

    assert said(c1.post("dss/sample/preview", body))[0] == 403


def test_what_reads_sources_never_holds_up_other_jobs(c1):
    told(c1)
    p1 = c1.project()
    c1.get(f"projects/{p1}/dss/d1/learn")
    c1.get("projects/info")

    kinds = set(Job.objects.values_list("kind", flat=True))

    assert len(kinds) == 2
    assert len(kinds & work.SLOW) == len(kinds & work.LONG) == 1


def test_an_encoder_learns_a_source_that_the_call_tells(c1, folder):
    (folder / "t.csv").write_text("ward,y\nnorth,1\nsouth,4\nNorth,3\n")
    assert c1.post("encoders/create?encodername=e&encoderTarget=y&targetType=C").status_code == 201
    source = {"type": "localfile", "name": "t", "info": {"path": "t.csv"}, "extra": {}}

    answer = c1.job(c1.post("encoders/e/learnds", sealed(source)))

    assert said(answer)[2] == "Job is finished"
    seen = values(c1.get("encoders/e/keyvals/ward"))["KSVSMap"]["values"]
    assert {(each["value"], each["count"], each["mean"]) for each in seen} == {
        ("north", "2", "2.0"), ("south", "1", "4.0"),
    }  # fmt: skip
    assert c1.post("encoders/e/learnds", json.dumps(source).encode()).status_code == 400
    assert c1.post("encoders/none/learnds", sealed(source)).status_code in (400, 404)


@pytest.fixture
def scoring_path(c1, folder):
    """Has a model, a source to predict and a place ``out`` for what it says."""
    c1.project()
    rows = {"attributeNames": ["age", "bmi"], "attributeTypes": ["C", "C"], "data": [[i, 2 * i + 1] for i in range(9)]}
    assert c1.post("projects/p1/learn", rows).status_code == 200
    context = {"targetAttributeNames": ["bmi"], "inputAttributeNames": ["age"], "extraParameters": {}}
    c1.job(c1.post("projects/p1/build?modelid=m&algo=mlr", context))
    told(c1)
    told(c1, "out", path="scored.csv")
    return "projects/p1/dss/predict/m?indsname=d1&outdsname={}&impute=false"


def test_a_model_predicts_a_source_into_another(c1, folder, scoring_path):
    path = scoring_path

    found = values(c1.job(c1.post(path.format("out"), {})))["dataframe"]

    assert found["attributeNames"] == ["age", "bmi", "smoker", "res"]
    assert found["attributeTypes"] == ["C", "C", "T", "C"]
    assert [float(row[3]) for row in found["data"]] == pytest.approx([83, 117, 61])
    assert (folder / "scored.csv").read_text().splitlines()[1].startswith("41,27.5,no,8")
    kept = StatisticsJob.objects.get(kind="predict_source").result
    assert "smoker" not in kept
    assert "27.5" not in kept
    assert said(c1.job(c1.post(path.format("out"), {})))[0] == 500
    assert said(c1.post(path.format("none"), {}))[0] == 400
    assert said(c1.post("projects/p1/dss/predict/none?indsname=d1&outdsname=out", {}))[0] == 500
    assert "localfile and s3" in said(
        c1.post("dss/create", sealed({"type": "http", "name": "web", "info": {"path": "http://a.example/d.csv"}}))
        and c1.post(path.format("web"), {})
    )[2]  # fmt: skip


def test_a_worker_that_died_once_its_file_was_there_is_followed_by_one_that_accepts_it(c1, folder, scoring_path):
    answer = c1.post(scoring_path.format("out"), {})
    row = StatisticsJob.objects.select_related("customer", "project__customer").get(kind="predict_source")
    lost = Job.objects.get(subject=str(row.pk))
    lost.lease_token = "another"
    with pytest.raises(jobs.Conflict):
        scoring.predict_source(Running(bootstrap.ports(), row, lost, row.created_at))
    Job.objects.filter(pk=lost.pk).update(attempts=1)
    before = (folder / "scored.csv").read_bytes()

    assert len(values(c1.job(answer))["dataframe"]["data"]) == 3
    assert (folder / "scored.csv").read_bytes() == before
