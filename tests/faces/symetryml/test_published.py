"""Numbers that were published for the iris flowers, asked for by signed requests."""

import pytest
from sklearn.datasets import load_iris
from tests.faces.symetryml.conftest import values

NAMES = ["sepal_length", "sepal_width", "petal_length", "petal_width"]


@pytest.fixture
def iris(c1):
    c1.project()
    rows = load_iris().data.tolist()
    rows[34] = rows[37] = [4.9, 3.1, 1.5, 0.1]  # as in the file of the UCI archive, which was published from
    frame = {"attributeNames": NAMES, "attributeTypes": ["C"] * 4, "data": rows}
    assert c1.post("projects/p1/learn", frame).status_code == 200
    return c1


@pytest.mark.parametrize(
    ("metric", "inputs", "published"),
    [
        ("uni", [0], {"mean": 5.8433, "variance": 0.6811, "stddev": 0.8253, "skewness": 0.3181, "stderr": 0.0674}),
        ("bi", [0, 3], {"covar": 0.5135, "linCorr": 0.8180, "condCount": 179.8, "condMean": 6.2717,
                        "condVariance": 30.9294}),
        ("ztest", [0, 3], {"z": 50.6844}),
        ("anova", [0, 1, 2, 3], {"SSb": 1657.1835, "SSw": 680.8244, "F": 483.5713, "Dfb": 3, "Dfw": 596}),
    ],
)  # fmt: skip
def test_explorations_give_the_published_numbers(iris, metric, inputs, published):
    context = {"values": [{"inputAttributes": inputs}]}

    (found,) = values(iris.post(f"projects/p1/explore?metric={metric}", context))["KSVDMap"]["values"]

    assert {name: found[name] for name in published} == pytest.approx(published, abs=1.01e-4)


def test_a_discriminant_predicts_the_published_numbers(iris):
    context = {"inputAttributes": ["0", "1", "2"], "targets": ["3"]}
    iris.job(iris.post("projects/p1/build?modelid=m&algo=lda", context))
    rows = {"attributeNames": NAMES[:3], "data": [["4.3", "3", "1.1"], ["6.9", "3.1", "5.4"]]}

    found = values(iris.post("projects/p1/predict/m", rows))["KSVSMap"]["values"]

    assert [float(row["resZ"]) for row in found] == pytest.approx([-0.455992, -2.652608], abs=2e-6)
    assert [float(row["normZ"]) for row in found] == pytest.approx([0.292913, 0.423267], abs=2e-6)
