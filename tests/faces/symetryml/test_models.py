"""Models over REST and WebSockets, on rows whose answers are known."""

import json

import pytest
from tests.faces.symetryml.conftest import SECRET, a_date, said, values
from tests.faces.symetryml.test_sockets import _conversation

from foedus.core.symetryml.signing import SocketMessage, content_md5, sign_socket_message

ROWS = [[x, z, 3 * x - 2 * z + 1 + (0.1 if i % 2 else -0.1), int(x + z > 6)] for i, (x, z) in enumerate(
    [(1, 2), (2, 1), (3, 5), (4, 3), (5, 5), (6, 2), (7, 9), (8, 1)]
)]  # fmt: skip
CONTEXT = {"targets": ["2"], "inputAttributes": ["0", "1"], "extraParameters": {}}


@pytest.fixture
def data(c1):
    c1.project()
    frame = {"attributeNames": ["x", "z", "y", "b"], "attributeTypes": ["C", "C", "C", "B"], "data": ROWS}
    assert c1.post("projects/p1/learn", frame).status_code == 200
    return c1


def build(api, algo="mlr", context=CONTEXT, name="m1"):
    return api.job(api.post(f"projects/p1/build?modelid={name}&algo={algo}", context))


def predict(api, rows, names=("x", "z"), name="m1", more=""):
    frame = {"attributeNames": list(names), "data": rows}
    return values(api.post(f"projects/p1/predict/{name}{more}", frame))["KSVSMap"]["values"]


def test_a_regression_is_built_described_and_asked(data):
    assert said(build(data)) == (200, "OK", "Job is finished")

    about = values(data.get("projects/p1/models/m1"))["modelInfo"]
    assert (about["modelType"], about["attributeNames"], about["targetNames"]) == ("mlr", ["x", "z"], ["y"])
    assert about["extra"]["attributeNames"][:3] == ["attribute", "coefficient", "std.error"]
    slopes = [float(row[1]) for row in about["extra"]["data"]]
    assert slopes == pytest.approx([3, -2], abs=0.1)
    assert about["extra"]["mean_y"] == pytest.approx(sum(row[2] for row in ROWS) / len(ROWS))
    (answer,) = predict(data, [["10", "0"]])
    assert float(answer["res"]) == pytest.approx(31, abs=0.5)
    assert values(data.get("projects/p1/info"))["smlInfo"]["modelsList"] == ["m1"]


def test_a_discriminant_says_how_it_came_to_its_answer(data):
    build(data, "lda", {**CONTEXT, "targets": ["3"]})

    low, high = predict(data, [["1", "1"], ["9", "9"]])

    assert (float(low["res"]), float(high["res"])) == (0, 1)
    assert {"res", "resZ", "z0", "normZ", "z1LTz0", "resU"} <= set(low)


def test_missing_inputs_are_means_or_what_the_others_make_likely(data):
    build(data)
    mean_x = sum(row[0] for row in ROWS) / len(ROWS)

    (as_mean,) = predict(data, [[None, "3"]])
    (explicit,) = predict(data, [[mean_x, "3"]])
    (absent,) = predict(data, [["3"]], names=("z",))
    (likely,) = predict(data, [[None, "9"]], more="?impute=true")
    (plain,) = predict(data, [[None, "9"]])

    assert float(as_mean["res"]) == pytest.approx(float(explicit["res"]))
    assert float(absent["res"]) == pytest.approx(float(explicit["res"]))
    assert float(likely["res"]) != pytest.approx(float(plain["res"]))


def test_building_again_replaces_the_model(data):
    build(data)
    build(data, context={**CONTEXT, "inputAttributes": ["0"]})

    assert values(data.get("projects/p1/models/m1"))["modelInfo"]["attributeNames"] == ["x"]


def test_a_model_is_exported_imported_and_removed(data):
    build(data)
    text = values(data.get("projects/p1/model/export?modelid=m1"))["string"]

    assert data.post("projects/p1/model/import?modelid=m2", text.encode()).status_code == 200
    assert predict(data, [["1", "2"]], name="m2") == predict(data, [["1", "2"]])
    assert data.delete("projects/p1/models/m1").status_code == 200
    assert said(data.post("projects/p1/predict/m1", {"attributeNames": [], "data": []})) == (
        500, "INTERNAL_SERVER_ERROR", "Generic Exception <Error no such model <m1>>",
    )  # fmt: skip


def test_rows_are_predicted_and_then_learned(data):
    build(data)
    frame = {"attributeNames": ["x", "z", "y"], "attributeTypes": ["C", "C", "C"], "data": [["1", "2", "0"]]}

    answer = values(data.post("projects/p1/learnpredict/m1?rebuildModel=true&keepColumns=y,z", frame))

    (row,) = answer["KSVSMap"]["values"]
    assert (row["y"], row["z"], "res" in row) == ("0", "2", True)
    assert said(data.post("projects/p1/learnpredict/m1?keepColumns=w", frame))[0] == 400
    assert values(data.get("projects/p1/info"))["smlInfo"]["count"] == 9


def test_inputs_that_others_determine_are_left_out_if_asked(c1):
    c1.project()
    frame = {"attributeNames": ["x", "twice", "z"], "data": [[i, 2 * i, i * i % 7] for i in range(9)]}
    assert c1.post("projects/p1/learn", frame).status_code == 200
    context = {"inputAttributeNames": ["x", "twice", "z"], "extraParameters": {}}

    c1.job(c1.post("projects/p1/build?modelid=m1&algo=covest&svdreduce=true", context))

    assert values(c1.get("projects/p1/models/m1"))["modelInfo"]["attributeNames"] == ["x", "z"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("build?modelid=m&algo=dance", CONTEXT), ("build?algo=mlr", CONTEXT), ("build?modelid=m", CONTEXT),
        ("build?modelid=a/b&algo=mlr", CONTEXT), ("build?modelid=m&algo=mlr", {"targets": ["99"]}),
        ("model/import?modelid=m", b"AAAA"), ("model/import?modelid=m", b"e30="),
    ],
)  # fmt: skip
def test_what_cannot_be_built_is_refused_at_once(data, path, body):
    assert said(data.post(f"projects/p1/{path}", body))[:2] == (400, "BAD_REQUEST")


def test_a_model_that_statistics_do_not_suffice_for_is_a_job_that_failed(data):
    failed = build(data, context={"targets": ["2"], "inputAttributes": ["0", "0"]})

    assert said(failed)[:2] == (500, "INTERNAL_SERVER_ERROR")
    assert "twice" in failed.json()["statusString"]
    assert said(data.get("projects/p1/models/m1"))[0] == 500


def test_a_socket_predicts(data, app, portal):
    build(data)
    payload, url, date = (
        '{"attributeNames":["x","z"],"data":[["10","0"]]}',
        "ws://testserver/symetry/ws/predict",
        a_date(),
    )
    signed = SocketMessage(date=date, customer="c1", payload=payload.encode(), urls=(url,), extra=("p1", "m1"))
    headers = [date, content_md5(payload.encode()), sign_socket_message(signed, SECRET), "c1"]
    header = json.dumps({"headers": headers, "extraKeys": ["p1", "m1"]})

    (answer,) = portal.call(_conversation, app, "/symetry/ws/predict", [f"{len(header)},{header}{payload}"])

    assert answer["statusCode"] == "OK"
    assert float(answer["values"]["KSVSMap"]["values"][0]["res"]) == pytest.approx(31, abs=0.5)
