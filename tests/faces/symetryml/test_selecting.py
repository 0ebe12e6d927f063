"""Inputs and models that the server chooses, over REST."""

import pytest
from sklearn.datasets import load_breast_cancer
from tests.faces.symetryml.conftest import said, values

TABLE = load_breast_cancer()
NAMES = ["radius", "texture", "noise", "ill"]
ROWS = [
    [float(x[0]), float(x[1]), (i * 7919 % 101) / 10, int(y)]
    for i, (x, y) in enumerate(zip(TABLE.data, TABLE.target, strict=True))
]
FRAME = {"attributeNames": NAMES, "attributeTypes": ["C", "C", "C", "B"]}
CONTEXT = {"targets": ["3"], "inputAttributes": ["0", "1", "2"], "extraParameters": {}}
ASIDE = {"dataframe": {**FRAME, "data": ROWS[400:]}, "mlcontext": CONTEXT}


@pytest.fixture
def data(c1):
    c1.project()
    assert c1.post("projects/p1/learn", {**FRAME, "data": ROWS[:400]}).status_code == 200
    return c1


def context(**options):
    return {**CONTEXT, "extraParameters": options}


def model(api, name="m"):
    return values(api.get(f"projects/p1/models/{name}"))["modelInfo"]


@pytest.mark.parametrize("task", ["binary_classification", "binary_classifier"])
def test_the_best_model_for_a_task_is_chosen_and_kept(data, task):
    answer = values(data.job(data.post(f"projects/p1/autoSelect?modelid=m&task={task}", ASIDE)))

    (chosen,) = answer["KSVSMap"]["values"]
    assert float(chosen["score"]) > 0.95
    assert int(chosen["tried"]) > 2
    assert model(data)["modelType"] == chosen["algorithm"]
    assert answer["smlInfo"]["modelsList"] == ["m"]


@pytest.mark.parametrize("key", ["autoselect_grid_type", "autoselect_grid_type_"])
def test_a_grid_of_options_is_tried_for_a_regression(data, key):
    body = {**ASIDE, "mlcontext": {**context(**{key: "autoselect_grid_type_small"}), "targets": ["1"],
                                  "inputAttributes": ["0", "2"]}}  # fmt: skip

    answer = values(data.job(data.post("projects/p1/autoSelect?modelid=m&task=regression", body)))

    assert int(answer["KSVSMap"]["values"][0]["tried"]) == 14
    assert answer["KSVSMap"]["values"][0]["criterion"] == "rmse"


@pytest.mark.parametrize("search", ["fw_bw", "simple", "brute", "iteration", "genetic", "bayesian"])
def test_inputs_are_chosen_by_each_search(data, search):
    body = {**ASIDE, "mlcontext": context(selector_type=f"selector_type_{search}", rnd_seed="1")}

    answer = values(data.job(data.post("projects/p1/selectModel?modelid=m&algo=lda", body)))

    assert "radius" in model(data)["attributeNames"]
    assert answer["KSVSMap"]["values"][0]["criterion"] == "auc"


def test_rows_of_a_task_that_is_not_there_fail_the_job(data):
    body = {**ASIDE, "dataframe": {**FRAME, "data": [[1, 2, 3, None]]}}

    answer = data.job(data.post("projects/p1/selectModel?modelid=m&algo=lda", body))

    assert "no row to judge by" in said(answer)[2]
    assert data.get("projects/p1/models/m").status_code == 500


def test_reducing_drops_what_explains_next_to_nothing(data):
    data.job(data.post("projects/p1/reduce?heuristic=default&modelid=m&algo=lda&delta=0.001", CONTEXT))

    assert model(data)["attributeNames"] == ["radius", "texture"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("selectModel?modelid=m&algo=lda", CONTEXT),
        ("selectModel?modelid=m&algo=nothing", ASIDE),
        ("selectModel/none?modelid=m&algo=lda", CONTEXT),
        ("autoSelect?modelid=m", ASIDE),
        ("autoSelect?modelid=m&task=regression", {**ASIDE, "dataframe": {"attributeNames": ["a"], "data": [[1, 2]]}}),
        ("reduce?modelid=m&delta=much", CONTEXT),
        ("reduce?modelid=m&heuristic=other", CONTEXT),
    ],
)
def test_what_cannot_be_is_refused_at_once(data, path, body):
    assert data.post(f"projects/p1/{path}", body).status_code in (400, 404)


@pytest.mark.parametrize("language", ["java", "sql"])
def test_a_linear_model_is_given_as_source(data, language):
    data.job(data.post("projects/p1/build?modelid=m&algo=lda", CONTEXT))

    source = values(data.get(f"projects/p1/models/m/code?language={language}"))["string"]

    assert "radius" in source


def test_source_of_a_language_that_nobody_has_is_refused(data):
    data.job(data.post("projects/p1/build?modelid=m&algo=lda", CONTEXT))

    assert said(data.get("projects/p1/models/m/code?language=cobol"))[0] == 400
    assert said(data.get("projects/p1/models/n/code?language=sql"))[0] == 500


@pytest.mark.parametrize("kind", ["gpu", "mgpuf", "mgpud"])
def test_no_project_of_a_graphics_card_runs_on_the_processor_in_silence(c1, kind):
    status, _, text = said(c1.post(f"projects?pid=p1&type={kind}"))

    assert status == 400
    assert "device" in text
