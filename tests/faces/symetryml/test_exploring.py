"""Exploration over REST, on numbers that were worked out by hand."""

import pytest
from tests.faces.symetryml.conftest import said, values

ROWS = [[1, 2, 0], [2, 4, 0], [3, 5, 1], [4, 9, 1]]


@pytest.fixture
def data(c1):
    c1.post("projects?pid=p1&enableHistogram=true", {})
    c1.post("projects/p1/learn", {"attributeNames": ["x", "y", "b"], "attributeTypes": ["C", "C", "B"], "data": ROWS})
    return c1


def context(*inputs, targets=(), **options):
    return {"inputAttributes": list(inputs), "targets": list(targets), "extraParameters": options}


def explore(api, metric, *contexts, more=""):
    answer = values(api.post(f"projects/p1/explore?metric={metric}{more}", {"values": list(contexts)}))
    return answer["KSVDMap"]["values"]


def test_an_attribute_is_described_to_four_decimals(data):
    (found,) = explore(data, "uni", context("0"))

    assert (found["count"], found["mean"], found["variance"]) == (4, 2.5, 1.25)
    assert found["stddev"] == 1.118
    assert (found["min"], found["max"]) == (1, 4)


def test_full_precision_is_an_option(data):
    (found,) = explore(data, "uni", context("0", full_precision="true"))

    assert found["stddev"] == pytest.approx(1.25**0.5, rel=1e-14)


def test_answers_come_in_the_order_of_their_contexts(data):
    found = explore(data, "uni", context(1), context("0"), {"inputAttributeNames": ["b"]})

    assert [each["mean"] for each in found] == [5, 2.5, 0.5]


def test_two_attributes_are_described_together(data):
    (found,) = explore(data, "bi", context("0", "2"))

    assert (found["condCount"], found["condMean"], found["condVariance"]) == (2, 3.5, 0.25)
    assert found["covar"] == 0.5


def test_the_project_comes_along_unless_nobody_wants_it(data):
    body = {"values": [context("0")]}

    assert values(data.post("projects/p1/explore?metric=uni", body))["smlInfo"]["count"] == 4
    assert "smlInfo" not in values(data.post("projects/p1/explore?metric=uni&returnProjectInfo=false", body))


def test_a_job_explores_too(data):
    job = data.job(data.post("projects/p1/explore?metric=uni&async=true", {"values": [context("0")]}))

    assert values(job)["KSVDMap"]["values"][0]["mean"] == 2.5
    assert values(job)["smlInfo"]["pid"] == "p1"


def test_components_values_and_inflation_are_jobs(data):
    pca = values(data.job(data.post("projects/p1/explorepca", {"values": [context("0", "1")]})))
    svd = values(data.job(data.post("projects/p1/exploresvd", {"values": [context("0", "1")]})))
    vif = values(data.job(data.post("projects/p1/vif", {"values": [context("0", "1")]})))

    assert pca["pcaSumValues"] == pytest.approx(2)
    assert [len(row) for row in pca["pcaVectors"]["data"]] == [2, 2]
    assert list(svd["KSVSMap"]["values"][0].values()) == ["x", "y"]
    assert set(vif["KSVSMap"]["values"][0]) == {"0", "1"}
    assert float(vif["KSVSMap"]["values"][0]["0"]) > 1


def test_a_density_counts_all_values(data):
    body = {"values": [context("0", "2", hist_bins="2")]}

    found = values(data.post("projects/p1/densityEstimate", body))["densityList"]["values"]

    assert [each["attrName"] for each in found] == ["x", "b"]
    assert [sum(each["histogram"]) for each in found] == [4, 4]


@pytest.mark.parametrize(
    ("path", "body", "text"),
    [
        ("explore?metric=dance", {"values": [context("0")]}, "no metric"),
        ("explore?metric=uni", {"values": [context("9")]}, "no attribute 9"),
        ("explore?metric=uni", {"values": [{"inputAttributeNames": ["z"]}]}, "z"),
        ("explore?metric=uni", {"values": []}, "ExploreContext"),
        ("explore?metric=uni", {"values": [{"inputAttributes": ["0"], "inputAttributeNames": ["x"]}]}, "not both"),
        ("explore", {"values": [context("0")]}, "metric is missing"),
        ("densityEstimate", {"values": [context("0")]}, "hist_bins"),
        ("explorepca?explainedCovariance=x", {"values": [context("0")]}, "is a number"),
    ],
)  # fmt: skip
def test_a_question_without_sense_is_refused(data, path, body, text):
    answer = said(data.post(f"projects/p1/{path}", body))

    assert answer[:2] == (400, "BAD_REQUEST")
    assert text in answer[2]


@pytest.mark.parametrize("metric", ["pca_reconstruction_error", "global", "marginal_stat", "marginal_non_stat"])
def test_drift_is_told_of_two_projects_and_each_attribute(c1, metric):
    frame = {"attributeNames": ["a", "b"], "attributeTypes": ["C", "C"]}
    rows = [[i, i * i % 17] for i in range(40)]
    for name, shift in (("before", 0), ("after", 30)):
        c1.project(name)
        data = [[a + shift, b] for a, b in rows]
        assert c1.post(f"projects/{name}/learn", {**frame, "data": data}).status_code == 200
    sides = {"driftPreferenceProjectName": "before", "driftAnalysisProjectName": "after", "driftMetric": metric}
    context = {"inputAttributes": ["0", "1"], "extraParameters": sides}

    (found,) = values(c1.post("projects/dataDrift", context))["KSVDMap"]["values"]

    assert set(found) == {"driftScore", "a_drift", "b_drift"}
    assert found["driftScore"] > 0
    assert found["a_drift"] >= found["b_drift"]
    assert c1.post("projects/dataDrift", {**context, "extraParameters": {}}).status_code == 400


@pytest.mark.parametrize("share", ["nan", "0", "2", "much"])
def test_a_share_that_components_cannot_explain_is_refused(c1, share):
    c1.project()

    answer = c1.post(f"projects/p1/explorepca?explainedCovariance={share}", {"inputAttributes": []})

    assert said(answer)[:2] == (400, "BAD_REQUEST")
