"""Numbers that were published for the iris flowers, asked for by signed requests."""

import pytest
from tests.core.exploration.irises import COLUMNS, SPECIES, rows
from tests.faces.symetryml.conftest import values

TWELVE = [str(place) for place in range(12)]


@pytest.fixture
def iris(c1):
    c1.project()
    frame = {"attributeNames": list(COLUMNS), "attributeTypes": ["C"] * 4 + ["B"] * 11, "data": rows().tolist()}
    assert c1.post("projects/p1/learn", frame).status_code == 200
    return c1


@pytest.mark.parametrize(
    ("metric", "inputs", "targets", "published"),
    [
        ("uni", ["sepal_length"], [], {"mean": 5.8433, "variance": 0.6811, "stddev": 0.8253, "skewness": 0.3181,
                                       "stderr": 0.0674}),
        ("uni", ["Iris_setosa"], [], {"variance": 0.2222, "stderr": 0.0385, "skewness": 0.7215}),
        ("bi", ["sepal_length", "petal_width"], [], {"covar": 0.5135, "linCorr": 0.8180, "condCount": 179.8,
                                                     "condMean": 6.2717, "condVariance": 30.9294}),
        ("ztest", ["sepal_length", "petal_width"], [], {"z": 50.6844, "zCi95Down": 4.4651, "zCi95Up": 4.8243}),
        ("anova", list(COLUMNS[:4]), [], {"SSb": 1657.1835, "SSw": 680.8244, "F": 483.5713, "Dfb": 3, "Dfw": 596}),
        ("chi2", ["petal_width_b1", "petal_width_b2"], SPECIES, {"chiStat": 150.0, "df": 2, "coef": 0.8409}),
        ("chi2", ["sepal_lengt_b1", "sepal_lengt_b2"], SPECIES, {"chiStat": 75.1484, "coef": 0.5952}),
        ("gain", ["petal_width_b1"], ["Iris_setosa"], {"gain": 0.9183}),
        ("gain", ["petal_length_b1"], ["Iris_setosa"], {"gain": 0.6414}),
        ("gain", ["sepal_lengt_b1"], ["Iris_setosa"], {"gain": 0.3818}),
        ("gain", ["Iris_virginica"], ["Iris_setosa"], {"gain": 0.2516}),
        ("gain", ["sepal_width_b1"], ["Iris_setosa"], {"gain": 0.2154}),
    ],
)  # fmt: skip
def test_explorations_give_the_published_numbers(iris, metric, inputs, targets, published):
    context = {"values": [{"inputAttributeNames": inputs, "targetAttributeNames": list(targets)}]}

    (found,) = values(iris.post(f"projects/p1/explore?metric={metric}", context))["KSVDMap"]["values"]

    assert {name: found[name] for name in published} == pytest.approx(published, abs=1.01e-4)


def test_components_singular_values_and_inflations_are_the_published_ones(iris):
    whole, twelve = {"inputAttributes": list(range(15))}, {"inputAttributes": TWELVE}

    components = values(iris.job(iris.post("projects/p1/explorepca", whole)))
    (singular,) = values(iris.job(iris.post("projects/p1/exploresvd", twelve)))["KSVSMap"]["values"]
    (inflation,) = values(iris.job(iris.post("projects/p1/vif", twelve)))["KSVSMap"]["values"]

    eigenvalues = [float(value) for value in components["pcaValues"]["data"][0][:9]]
    assert eigenvalues == pytest.approx([9.43, 2.98, 1.13, 0.66, 0.34, 0.29, 0.12, 0.04, 0.02], abs=5e-3)
    assert components["pcaSumValues"] == pytest.approx(15)
    published = [5.3351, 0.6184, 0.1923, 0.1121, 0.0724, 0.0484, 0.0308, 0.0218]
    assert [float(value) for value in list(singular)[:8]] == pytest.approx(published, abs=5.1e-5)
    assert list(singular.values())[:8] == list(COLUMNS[:8])
    lengths = [float(inflation[place]) for place in TWELVE[:4]]
    halves = [float(inflation[place]) for place in TWELVE[4:]]
    assert lengths == pytest.approx([9.548, 3.7017, 42.223, 16.908], rel=1.1e-4)
    assert halves == pytest.approx([each for h in (5000.96, 5000.62, 5001.48, 5002.98) for each in (h, h)], rel=1.1e-4)


def test_a_discriminant_predicts_the_published_numbers(iris):
    context = {"inputAttributes": ["0", "1", "2"], "targets": ["3"]}
    iris.job(iris.post("projects/p1/build?modelid=m&algo=lda", context))
    asked = {"attributeNames": list(COLUMNS[:3]), "data": [["4.3", "3", "1.1"], ["6.9", "3.1", "5.4"]]}

    found = values(iris.post("projects/p1/predict/m", asked))["KSVSMap"]["values"]

    assert [float(row["resZ"]) for row in found] == pytest.approx([-0.455992, -2.652608], abs=2e-6)
    assert [float(row["normZ"]) for row in found] == pytest.approx([0.292913, 0.423267], abs=2e-6)
    assert float(found[0]["z0"]) == pytest.approx(-3.840892, abs=2e-6)
