"""Models that need more than statistics: projects declare what is kept beside these, and learn as any other."""

import json

import numpy as np
import pytest
from tests.faces.symetryml.conftest import said, values
from tests.faces.symetryml.test_models import build, predict

from foedus.records.statistics.models import Snapshot

RNG = np.random.default_rng(11)
ROWS = 600
A, B = RNG.normal(size=(2, ROWS)) + np.repeat([[-3.0], [3.0]], ROWS // 2, axis=1).reshape(1, ROWS)
DATA = [
    [repr(a), repr(b), str(int(a + b > 0)), str(time), str(int(died)), ward, repr(3 * a - b)]
    for a, b, time, died, ward in zip(
        A.tolist(), B.tolist(), RNG.integers(1, 20, ROWS).tolist(), (RNG.random(ROWS) < 0.7).tolist(),
        np.resize(["North", "south"], ROWS).tolist(), strict=True,
    )
]  # fmt: skip
NAMES, TYPES = ["a", "b", "sick", "days", "died", "ward", "y"], ["C", "C", "B", "C", "B", "T", "C"]
DECLARED = {
    "km_time_column": "days", "km_event_column": "died", "km_group_column": "ward", "cluster_features": "a,b",
    "lr_target_column": "sick", "lr_features": "a,b,ward$north", "rf_features": "a:-7:7,b:-7:7",
    "rf_target_column": "sick", "rf_labels": "0,1", "evt_features": "a,b", "sml_project_power_column": "y",
}  # fmt: skip
NOTHING = {"targets": [], "inputAttributes": [], "extraParameters": {}}


def frame(rows=DATA):
    return {"attributeNames": NAMES, "attributeTypes": TYPES, "data": rows}


@pytest.fixture
def data(c1):
    c1.project(**DECLARED)
    for start in range(0, ROWS, 200):
        assert c1.post("projects/p1/learn", frame(DATA[start : start + 200])).status_code == 200
    return c1


def about(api, name="m1"):
    return values(api.get(f"projects/p1/models/{name}"))["modelInfo"]


def context(**options):
    return {**NOTHING, "extraParameters": {name: str(value) for name, value in options.items()}}


def test_survival_has_curves_of_each_group(data):
    assert said(build(data, "km", NOTHING))[0] == 200

    table = about(data)["extra"]
    assert table["attributeNames"] == ["group", "times", "survival", "low", "high", "at_risk"]
    assert {row[0] for row in table["data"]} == {"north", "south"}
    assert float(table["data"][0][5]) == ROWS / 2
    assert said(data.post("projects/p1/predict/m1", frame(DATA[:1])))[:2] == (400, "BAD_REQUEST")


def test_clusters_are_found_and_their_number_judged(data):
    found = values(data.job(data.post("projects/p1/kmeansOptimize", context(kmeans_k_min=2, kmeans_k_max=4))))

    (judged,) = found["KSVSMap"]["values"]
    assert set(judged) == {f"kmeans_{k}_{what}" for k in (2, 3, 4) for what in ("wssse", "silhouette")}
    assert max((2, 3, 4), key=lambda k: float(judged[f"kmeans_{k}_silhouette"])) == 2
    build(data, "kmeans", context(kmeans_k=2))
    low, high = predict(data, [["-3", "-3"], ["3", "3"]], ("a", "b"))
    assert low["res"] != high["res"]


@pytest.mark.parametrize("algo", ["lr", "rf", "rf_classifier"])
def test_classes_are_told_apart(data, algo):
    assert said(build(data, algo, NOTHING))[0] == 200

    low, high = predict(data, [["-3", "-3", "North"], ["3", "3", "South"]], ("a", "b", "ward"))

    assert (float(low["res"]), float(high["res"])) == (0, 1)
    assert "Prob" in low
    assert about(data)["targetNames"] == ["sick"]


def test_rare_rows_and_extreme_values_stand_out(data):
    build(data, "rf_anomaly", NOTHING)
    build(data, "evt", {**context(evt_alpha=0.001, evt_quantile=0.95), "inputAttributes": ["0"]}, "e1")

    usual, rare = predict(data, [["3", "3"], ["6", "-6"]], ("a", "b"))
    below, above = predict(data, [["3"], ["12"]], ("a",), "e1")

    assert (float(usual["res"]), float(rare["res"])) == (0, 1)
    assert (float(below["evt_is_anomaly"]), float(above["evt_is_anomaly"])) == (0, 1)
    assert 4 < float(above["evt_threshold"]) < 9


def test_a_power_of_the_target_is_chosen(data):
    assert said(build(data, "powerreg", {"targets": ["y"], "inputAttributes": ["a", "b"]}))[0] == 200

    (answer,) = predict(data, [["2", "1"]], ("a", "b"))
    assert float(answer["res"]) == pytest.approx(5, abs=0.01)
    assert about(data)["info"]["power"] == pytest.approx(1)


def test_a_watcher_says_whether_an_output_is_extreme_and_is_removed(data):
    build(data, "mlr", {"targets": ["y"], "inputAttributes": ["a", "b"]})
    asked = {"sml_evt_wrapper_model_id": "w", "evt_warmup_size": "550", "evt_alpha": "0.0001"}

    assert values(data.post("projects/p1/m1/evtwrapper", asked))["modelInfo"]["modelType"] == "evtwrapper"
    warming = predict(data, [row[:2] for row in DATA], ("a", "b"), "w")
    calm, wild = predict(data, [["0", "0"], ["100", "0"]], ("a", "b"), "w")

    assert {float(row["evt_is_anomaly"]) for row in warming} == {0}
    assert (float(calm["evt_is_anomaly"]), float(wild["evt_is_anomaly"])) == (0, 1)
    assert float(wild["res"]) == pytest.approx(300, abs=1)
    assert said(data.post("projects/p1/m1/evtwrapper", {**asked, "sml_evt_wrapper_res_key": "x"}))[0] == 200
    assert "are res" in said(data.post("projects/p1/predict/w", frame(DATA[:1])))[2]
    assert data.delete("projects/p1/m1/evtwrapper").status_code == 200
    assert said(data.get("projects/p1/models/w"))[0] == 500
    assert said(data.delete("projects/p1/m1/evtwrapper"))[0] == 500


def test_models_travel_in_exports_and_so_does_what_they_are_made_of(data):
    build(data, "rf_classifier", NOTHING)
    text = values(data.get("projects/p1/model/export?modelid=m1"))["string"]
    whole = values(data.get("projects/p1/export"))["string"]

    assert data.post("projects/p2/import", whole.encode()).status_code == 201
    assert data.post("projects/p2/model/import?modelid=m2", text.encode()).status_code == 200
    again = data.job(data.post("projects/p2/build?modelid=m3&algo=rf_classifier", NOTHING))
    assert said(again)[0] == 200
    asked = {"attributeNames": ["a", "b"], "data": [["1", "2"], ["-1", "1"]]}
    found = [
        values(data.post(f"projects/{where}", asked)) for where in ("p1/predict/m1", "p2/predict/m2", "p2/predict/m3")
    ]
    assert found[0] == found[1] == found[2]


def test_what_cannot_be_forgotten_says_why_and_nothing_changes(data):
    before = Snapshot.objects.get()

    status, word, text = said(data.post("projects/p1/forget", frame(DATA[:5])))

    assert (status, word) == (409, "CONFLICT")
    assert "cannot forget" in text
    after = Snapshot.objects.get()
    assert (after.version, bytes(after.beside)) == (before.version, bytes(before.beside))


def test_merged_projects_have_the_rows_of_both_beside_too(data):
    data.project("p2", **DECLARED)
    data.project("p3")
    assert data.post("projects/p2/learn", frame()).status_code == 200

    assert data.post("projects/p2/merge?otherProjectName=p1").status_code == 200

    data.job(data.post("projects/p2/build?modelid=m&algo=km", NOTHING))
    table = values(data.get("projects/p2/models/m"))["modelInfo"]["extra"]["data"]
    assert float(table[0][5]) == ROWS
    assert said(data.post("projects/p2/merge?otherProjectName=p3"))[0] == 409


def test_sequences_are_counted_and_say_what_comes_next(c1):
    assert c1.post("projects?pid=p1&type=sequence", {"sml_project_order": "2"}).status_code == 201
    wide = [["a", "b", "c", "a"], ["b", "c", "a", ""], ["c", "a", "b", "c"]]
    learn = {"attributeNames": ["1", "2", "3", "4"], "data": wide}
    assert c1.post("projects/p1/learn", learn).status_code == 200

    build(c1, "mc", NOTHING)

    one, two = predict(c1, [["a", "b"], ["b", "c"]], ("1", "2"))
    assert (one["next"], one["next.p"], two["next"]) == ("c", "1.0", "a")
    assert float(one["seq.like"]) == pytest.approx(1 / 3)
    assert about(c1)["extra"]["attributeNames"] == ["context", "state", "count", "p"]
    assert c1.post("projects/p1/forget", learn).status_code == 200
    assert said(build(c1, "mc", NOTHING))[0] == 500


@pytest.mark.parametrize("order", ["", "&predictBeforeLearn=false"])
def test_columns_are_kept_of_rows_alone_and_nothing_is_learned_where_there_are_none(c1, order):
    assert c1.post("projects?pid=p1&type=sequence", {"sml_project_order": "1"}).status_code == 201
    tokens = {"attributeNames": ["s"], "data": [["a"], ["b"], ["a"]]}
    assert c1.post("projects/p1/learn", tokens).status_code == 200
    build(c1, "mc", NOTHING)

    refused = c1.post(f"projects/p1/learnpredict/m1?keepColumns=s{order}", tokens)

    assert said(refused)[:2] == (400, "BAD_REQUEST")
    assert "sequences" in said(refused)[2]
    build(c1, "mc", NOTHING)
    assert {row[2] for row in about(c1)["extra"]["data"]} == {"1"}


def test_hidden_states_are_found_by_what_they_show(c1):
    params = {"hmm_state_column": "mood", "hmm_features": "x"}
    assert c1.post("projects?pid=p1&type=sequence", params).status_code == 201
    steps = [["low", "0.1"], ["low", "-0.2"], ["low", "0"], ["high", "5"], ["high", "5.2"], ["low", "0.3"]]
    learn = {"attributeNames": ["mood", "x"], "attributeTypes": ["S", "C"], "data": steps}
    assert c1.post("projects/p1/learn", learn).status_code == 200

    assert said(build(c1, "hmm", NOTHING))[0] == 200

    assert [row["seq"] for row in predict(c1, [["0"], ["4.9"], ["5"]], ("x",))] == ["low", "high", "high"]


def test_a_rolling_window_keeps_the_latest_rows(c1):
    c1.project(sml_project_rolling_window_size="64")
    for start in range(0, 300, 10):
        rows = [[str(start + k)] for k in range(10)]
        assert (
            c1.post("projects/p1/learn", {"attributeNames": ["x"], "attributeTypes": ["C"], "data": rows}).status_code
            == 200
        )

    (found,) = values(c1.post("projects/p1/explore?metric=uni", {"inputAttributes": ["0"]}))["KSVDMap"]["values"]

    assert 64 <= found["count"] < 64 + 10
    assert found["mean"] == pytest.approx(299 - (found["count"] - 1) / 2)
    assert said(c1.post("projects/p1/forget", {"attributeNames": ["x"], "data": [["299"]]}))[0] == 409


def test_a_window_beside_all_rows_shows_how_they_drift(c1):
    c1.project(sml_project_rolling_window_size="50", sml_project_rolling_window_use_embedded="true")
    rows = [[repr(x)] for x in [*RNG.normal(size=400).tolist(), *(RNG.normal(size=60) + 4).tolist()]]
    c1.post("projects/p1/learn", {"attributeNames": ["x"], "attributeTypes": ["C"], "data": rows})
    sides = {"driftPreferenceProjectName": "p1", "driftAnalysisProjectName": "rolling_window_embedded_project"}

    (found,) = values(c1.post("projects/dataDrift", {"inputAttributes": ["0"], "extraParameters": sides}))["KSVDMap"][
        "values"
    ]
    (all_rows,) = values(c1.post("projects/p1/explore?metric=uni", {"inputAttributes": ["0"]}))["KSVDMap"]["values"]

    assert all_rows["count"] == 460
    assert found["x_drift"] > 0.3


def test_categories_are_hashed_when_learned_and_when_predicted(c1):
    c1.project(sml_project_hashtrick_binsize="4")
    rows = [[f"city{k % 40}", str(k % 2)] for k in range(400)]
    learn = {"attributeNames": ["city", "y"], "attributeTypes": ["T", "B"], "data": rows}
    assert c1.post("projects/p1/learn", learn).status_code == 200

    names = values(c1.get("projects/p1/info"))["smlInfo"]["attributeNames"]
    assert sorted(names) == ["city$#0", "city$#1", "city$#2", "city$#3", "y"]
    levels = [name for name in names if name != "y"]
    assert said(build(c1, "bayes", {"targets": ["y"], "inputAttributeNames": levels}))[0] == 200
    frame = {"attributeNames": ["city"], "attributeTypes": ["T"], "data": [["city7"], ["never seen"]]}
    assert len(values(c1.post("projects/p1/predict/m1", frame))["KSVSMap"]["values"]) == 2


@pytest.mark.parametrize(
    "params", [{"km_time_column": "t"}, {"rf_features": "a"}, {"automl_x": "1"}, {"km_time_column": "\x00"}]
)
def test_declarations_that_make_no_sense_are_refused_in_words(c1, params):
    status, word, text = said(c1.post("projects?pid=p1", params))

    assert (status, word) == (400, "BAD_REQUEST")
    assert next(iter(params)).split("_")[0] in text


def test_a_model_without_its_declaration_says_what_to_declare(c1):
    c1.project()
    c1.post("projects/p1/learn", frame())

    failed = build(c1, "km", NOTHING)

    assert said(failed)[0] == 500
    assert "km_time_column" in json.dumps(failed.json())
