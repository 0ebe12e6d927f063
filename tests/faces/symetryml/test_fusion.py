"""Fusion projects over REST: cells told in sealed bodies, asked, changed; and what is refused."""

import json
from dataclasses import replace

import pytest
from tests.faces.symetryml.conftest import SECRET, Symetry, said, values

from foedus import bootstrap
from foedus.connectors.cells.http import HttpCells
from foedus.connectors.internet import Guard
from foedus.core.fusion.parcel import MEDIA_TYPE, unpack
from foedus.ports.cells import CellTerms
from foedus.records.customers.models import Customer
from foedus.records.fusion.models import FusionCell
from foedus.services.customers.bodies import open_legacy, seal_legacy

FRAME = {"attributeNames": ["x", "y"], "attributeTypes": ["C", "C"], "data": [["1", "2"], ["2", "5"], ["4", "7"]]}
UNI = {"values": [{"inputAttributeNames": ["x"]}]}


def resolved(host, _port):
    if host[0].isdigit():
        return [host]
    raise OSError(host)


@pytest.fixture
def c1(app, portal, customers, ports, monkeypatch):
    """A legacy customer of a server that asks others."""
    guard = Guard.allowing([], resolved, setting="FOEDUS_CELLS_ALLOW")
    app.state.ports = replace(ports, cells=HttpCells(guard, CellTerms()))
    monkeypatch.setattr(bootstrap, "ports", lambda: app.state.ports)
    customers(legacy=True)
    return Symetry(app, portal)


def sealed(cells, **more):
    return seal_legacy(SECRET, json.dumps({"values": cells, **more}).encode()).encode()


def opened(text):
    return json.loads(open_legacy(SECRET, text.encode()))


def own(*names):
    return [{"host": "", "cid": "c1", "pid": name} for name in names]


def two_cells(client):
    for name in ("a", "b"):
        client.project(name)
        assert client.post(f"projects/{name}/learn", FRAME).status_code == 200


def fuse(client, cells, name="f", **more):
    return client.post(f"projects/fusion/create?pid={name}&persist=true", sealed(cells, **more))


def test_a_fusion_project_is_made_and_answers_as_any_other(c1):
    two_cells(c1)
    assert said(fuse(c1, own("a", "b"))) == (201, "CREATED", "Project Created with id:f")
    assert fuse(c1, own("a")).status_code == 409

    answer = values(c1.post("projects/f/explore?metric=uni", UNI))
    model = values(c1.job(c1.post("projects/f/build?modelid=m&algo=mlr", {"inputAttributes": ["0"], "targets": ["1"]})))
    predicted = values(c1.post("projects/f/predict/m", {"attributeNames": ["x"], "data": [["3"]]}))

    assert answer["KSVDMap"]["values"][0]["count"] == 6
    assert (model["smlInfo"]["type"], model["smlInfo"]["modelsList"]) == ("fusion", ["m"])
    assert float(predicted["KSVSMap"]["values"][0]["res"]) == pytest.approx(5.7142857, abs=1e-6)


def test_info_tells_of_cells_and_their_age_but_never_a_secret(c1):
    two_cells(c1)
    fuse(c1, [*own("a"), {"host": "http://testserver", "cid": "c1", "sk": SECRET, "pid": "b"}])

    answer = c1.get("projects/f/info")

    info = values(answer)["smlInfo"]
    assert SECRET not in answer.text
    assert info["params"]["fusion_fetch_error"] == ""
    assert (info["params"]["fusion_cells"], info["params"]["fusion_cells_answering"]) == ("2", "2")
    assert float(info["params"]["fusion_age_s"]) < 60
    assert opened(info["fusionCellInfo"])["values"][1] == {
        "host": "", "cid": "c1", "pid": "b", "status": "OK", "rows": 3, "age": pytest.approx(0, abs=60),
    }  # fmt: skip
    assert SECRET.encode() not in bytes(FusionCell.objects.get(project="b").sealed)


def test_the_status_of_any_cells_is_asked_through_a_fusion_project(c1):
    two_cells(c1)
    fuse(c1, own("a"))
    here = {"host": "http://testserver", "cid": "c1", "sk": SECRET, "pid": "b"}
    cells = [here, *own("none"), {"host": "http://10.0.0.1:8080", "cid": "lab", "sk": SECRET, "pid": "p"}]

    found = opened(values(c1.post("projects/fusion/f/cellsStatus", sealed(cells)))["cellsStatusEncrypted"])["values"]

    assert [cell["host"] for cell in found] == [cell["host"] for cell in cells]
    assert [cell["status"] == "OK" for cell in found] == [True, False, False]
    for odd in ({"pid": "a/../b"}, {"cid": "../x"}):
        assert c1.post("projects/fusion/f/cellsStatus", sealed([{**here, **odd}])).status_code == 400
    assert "no such project" in found[1]["status"]
    assert "FOEDUS_CELLS_ALLOW" in found[2]["status"]
    assert all(cell.keys() == {"host", "cid", "pid", "status"} for cell in found)
    assert c1.post("projects/fusion/none/cellsStatus", sealed(cells)).status_code == 400
    assert c1.post("projects/fusion/a/cellsStatus", sealed(cells)).status_code == 400


def test_updating_gives_the_whole_list_anew(c1):
    two_cells(c1)
    fuse(c1, own("a"))
    assert values(c1.get("projects/f/info"))["smlInfo"]["count"] == 3

    assert (
        c1.post(
            "projects/fusion/f/updateCellsInfo",
            sealed(own("b", "a"), extraParameters={"sml.fusion.prefetch.min.time.ms": 0}),
        ).status_code
        == 200
    )

    info = values(c1.get("projects/f/info"))["smlInfo"]
    assert info["count"] == 6
    assert info["params"]["rtlm.option.sml.fusion.prefetch.min.time.ms"] == "0"
    c1.post("projects/a/learn", FRAME)
    assert values(c1.get("projects/f/info"))["smlInfo"]["count"] == 9  # no window: asked every time


def test_the_first_info_says_whether_all_cells_keep_histograms(c1):
    for name, kept in (("a", "true"), ("b", "true"), ("c", "false")):
        c1.post(f"projects?pid={name}&enableHistogram={kept}", {})
        c1.post(f"projects/{name}/learn", FRAME)
    fuse(c1, own("a", "b"), "f")
    fuse(c1, own("a", "c"), "g")

    assert [values(c1.get(f"projects/{f}/info"))["smlInfo"]["histogramEnabled"] for f in "fg"] == [True, False]


REFUSED = (
    ("POST", "learn", FRAME), ("POST", "learn?async=true", FRAME), ("POST", "forget", FRAME), ("GET", "export", None),
    ("POST", "merge?otherProjectName=a", None), ("GET", "addds/d1", None), ("GET", "detachds/d1", None),
    ("POST", "dss/d1/learn", None), ("POST", "dss/d1/forget", None), ("GET", "getDsLog", None),
    ("GET", "getLFStats", None), ("POST", "streams/create", None), ("POST", "encoderAssign?encoderName=e", None),
    ("POST", "histogramEnable?enable=true", None), ("POST", "learnpredict/m", FRAME),
)  # fmt: skip


@pytest.mark.parametrize(("verb", "path", "body"), REFUSED)
def test_what_needs_rows_is_refused_with_a_reason(c1, verb, path, body):
    two_cells(c1)
    fuse(c1, own("a"))

    status, _, text = said(c1.call(verb, f"projects/f/{path}", body))

    assert status == 400
    assert "no rows of its own" in text


def test_what_needs_no_rows_is_not(c1):
    two_cells(c1)
    fuse(c1, own("a"))

    for path in ("freeze", "unfreeze", "save", "rename?newName=g"):
        assert c1.post(f"projects/f/{path}").status_code in (200, 201)
    assert c1.post("projects/a/merge?otherProjectName=g").status_code == 200
    assert values(c1.get("projects/a/info"))["smlInfo"]["count"] == 6
    assert c1.delete("projects/g").status_code == 200
    assert not FusionCell.objects.exists()


def test_cells_that_do_not_answer_are_named_by_a_500_and_by_info(c1):
    two_cells(c1)
    fuse(c1, [*own("a"), {"host": "http://cell.invalid:8080", "cid": "lab", "sk": SECRET, "pid": "p"}])

    status, _, text = said(c1.post("projects/f/explore?metric=uni", UNI))

    assert status == 500
    assert "cell lab/p at http://cell.invalid:8080" in text
    assert "lab/p" in values(c1.get("projects/f/info"))["smlInfo"]["params"]["fusion_fetch_error"]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"{}", "sealed"), (sealed([]), "1 to 128 cells"), (sealed(own("f")), "its own cell"),
        (sealed([*own("a"), *own("a")]), "twice"), (sealed([{"cid": "c2", "pid": "p"}]), "needs a secret key"),
        (sealed([{"host": "ftp://x", "cid": "c2", "pid": "p", "sk": SECRET}]), "https://"),
        (sealed([{"host": "http://x", "cid": "c2", "pid": "p", "sk": "short"}]), "secret key"),
        (sealed([{"host": 3, "cid": "c2", "pid": "p"}]), "a text"), (sealed([1]), "values"),
        (sealed(own("a"), extraParameters={"fusion_strict": "often"}), "true or false"),
    ],
)  # fmt: skip
def test_wrong_lists_make_no_project(c1, body, text):
    two_cells(c1)

    status, _, told = said(c1.post("projects/fusion/create?pid=f", body))

    assert status == 400
    assert text in told
    assert c1.get("projects/f/info").status_code == 400


def test_a_circle_is_called_by_its_name(c1):
    two_cells(c1)
    fuse(c1, own("a"), "f")
    fuse(c1, own("f"), "g")
    c1.post("projects/fusion/f/updateCellsInfo", sealed(own("g")))

    status, word, text = said(c1.post("projects/f/explore?metric=uni", UNI))

    assert (status, word) == (508, "LOOP_DETECTED")
    assert "circle" in text
    assert "circle" in values(c1.get("projects/f/info"))["smlInfo"]["params"]["fusion_fetch_error"]
    assert "no rows of its own" in said(c1.post("projects/f/histogramEnable?enable=true"))[2]


def test_a_project_hands_itself_over_once_for_whoever_knows_it(c1):
    two_cells(c1)

    first = c1.get("projects/a/statistics")
    tag = first.headers["etag"]
    again = c1.call("GET", "projects/a/statistics", **{"If-None-Match": tag})

    assert first.headers["content-type"] == MEDIA_TYPE
    assert unpack(first.content).value.rows == 3
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    c1.post("projects/a/learn", FRAME)
    changed = c1.call("GET", "projects/a/statistics", **{"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag


def test_a_token_reads_the_statistics_of_its_project_and_nothing_else(c1, c2):
    two_cells(c1)
    answer = c1.post("projects/a/cellTokens?name=practice&expires=60")
    assert answer.status_code == 201
    token = opened(answer.json()["values"]["cellTokenEncrypted"])
    holder = Symetry(c1.app, c1.portal, "c1", token["sk"])

    assert holder.get("projects/a/statistics").status_code == 200
    for verb, path in (
        ("GET", "projects/b/statistics"), ("GET", "projects/a/info"), ("GET", "projects/a/export"),
        ("DELETE", "projects/a"), ("GET", "projects/list"),
    ):  # fmt: skip
        assert holder.call(verb, path).status_code == 401
    Customer.objects.filter(cid="c2").update(legacy=True)  # fuses what it was given a token for
    body = {"values": [{"host": "", "cid": "c1", "sk": token["sk"], "pid": "a"}]}
    sealed_body = seal_legacy(c2.secret, json.dumps(body).encode()).encode()
    assert c2.post("projects/fusion/create?pid=f", sealed_body).status_code == 201
    assert values(c2.get("projects/f/info"))["smlInfo"]["count"] == 3
    (listed,) = values(c1.get("projects/a/cellTokens"))["KSVSMap"]["values"]
    assert (listed["id"], listed["name"]) == (token["id"], "practice")
    assert c1.delete(f"projects/a/cellTokens/{token['id']}").status_code == 200
    assert holder.get("projects/a/statistics").status_code == 401
    assert c1.delete(f"projects/a/cellTokens/{token['id']}").status_code == 400
