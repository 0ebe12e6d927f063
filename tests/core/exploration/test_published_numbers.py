"""The numbers that SymetryML's documentation and client print for the iris file, to the printed digits."""

import pytest
from numpy.testing import assert_allclose
from tests.core.exploration.irises import COLUMNS, LENGTHS, SPECIES, iris

from foedus.core.exploration import Query, explore, rounded
from foedus.core.exploration.components import inflation, principal_components, singular_values, without_singular

IRIS = iris()


def asked(metric, inputs, targets=(), **options):
    return rounded(explore(metric, IRIS, Query(tuple(inputs), tuple(targets), options)))


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("sepal_length", {"mean": 5.8433, "variance": 0.6811, "stddev": 0.8253, "skewness": 0.3181, "stderr": 0.0674}),
        ("Iris_setosa", {"variance": 0.2222, "stderr": 0.0385, "skewness": 0.7215}),
    ],
)
def test_a_column_is_described_as_published(column, expected):
    assert expected.items() <= asked("uni", [column]).items()


@pytest.mark.parametrize(("column", "low", "high"), [("sepal_length", 5.7101, 5.9765), ("Iris_setosa", 0.2572, 0.4094)])
def test_the_margin_gives_the_published_interval(column, low, high):
    answer = asked("uni", [column])

    mean, margin = answer["mean"], answer["meanMarginErrorC95"]

    assert_allclose([mean - margin, mean + margin], [low, high], atol=1e-12)  # published of the rounded numbers


def test_two_columns_are_described_as_published():
    expected = {"covar": 0.5135, "linCorr": 0.8180, "condCount": 179.8, "condMean": 6.2717, "condVariance": 30.9294}

    assert expected.items() <= asked("bi", ["sepal_length", "petal_width"]).items()


def test_z_has_the_published_value_and_interval():
    expected = {"z": 50.6844, "zCi95Down": 4.4651, "zCi95Up": 4.8243}

    assert expected.items() <= asked("ztest", ["sepal_length", "petal_width"]).items()


def test_the_analysis_of_variance_is_the_published_one():
    expected = {"SSb": 1657.1835, "SSw": 680.8244, "F": 483.5713, "Dfb": 3, "Dfw": 596}

    assert expected.items() <= asked("anova", LENGTHS).items()


@pytest.mark.parametrize(
    ("half", "expected"),
    [
        ("petal_width", {"chiStat": 150.0, "df": 2, "coef": 0.8409}),
        ("sepal_lengt", {"chiStat": 75.1484, "coef": 0.5952}),
    ],
)
def test_chi_square_of_halves_and_species_is_the_published_one(half, expected):
    assert expected.items() <= asked("chi2", [f"{half}_b1", f"{half}_b2"], SPECIES).items()


@pytest.mark.parametrize(
    ("column", "bits"),
    [
        ("petal_width_b1", 0.9183),
        ("petal_length_b1", 0.6414),
        ("sepal_lengt_b1", 0.3818),
        ("Iris_virginica", 0.2516),
        ("sepal_width_b1", 0.2154),
    ],
)
def test_information_gain_is_the_published_one(column, bits):
    assert asked("gain", [column], ["Iris_setosa"]) == {"gain": bits}


def test_eigenvalues_are_the_published_ones():
    found = principal_components(IRIS, COLUMNS)

    assert_allclose(found.values[:9], [9.43, 2.98, 1.13, 0.66, 0.34, 0.29, 0.12, 0.04, 0.02], atol=5e-3)
    assert_allclose(found.total, 15)


def test_singular_values_are_the_published_ones():
    found = singular_values(IRIS, COLUMNS[:12])

    values = [value for value, _ in found]
    assert_allclose(values[:8], [5.3351, 0.6184, 0.1923, 0.1121, 0.0724, 0.0484, 0.0308, 0.0218], atol=5e-5)
    assert max(values[8:]) < 1e-12
    assert [name for _, name in found] == list(COLUMNS[:12])


def test_inflation_of_variances_agrees_with_the_published_one():
    published = [9.548, 3.7017, 42.223, 16.908]
    published += [5000.96, 5000.96, 5000.62, 5000.62, 5001.48, 5001.48, 5002.98, 5002.98]

    found = inflation(IRIS, COLUMNS[:12])

    assert_allclose(list(found.values()), published, rtol=1.1e-4)  # the original regularises in a way of its own


def test_what_the_other_columns_determine_is_dropped():
    assert without_singular(IRIS, COLUMNS) == [*LENGTHS, *(c for c in COLUMNS[4:12] if c.endswith("b1")), SPECIES[1]]
