"""Drift between two projects, against integrals over densities and rows."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import integrate, stats
from tests.core.models.tables import learned

from foedus.core.errors import Invalid
from foedus.core.exploration.drift import METRICS, drift

RNG = np.random.default_rng(7)
NAMES = ("x", "z", "w")
ROWS = RNG.normal(size=(400, 3)) @ np.array([[1, 0.5, 0.1], [0, 1, 0.3], [0, 0, 0.1]]) + [5, 0, -3]
MOVED = ROWS[::-1] * [1, 1.5, 1] + [2, 0, 0]


@pytest.mark.parametrize("metric", METRICS)
def test_the_same_rows_have_not_drifted(metric):
    found = drift(learned(ROWS, NAMES), learned(ROWS, NAMES), (), metric)

    assert set(found) == {"driftScore", "x_drift", "z_drift", "w_drift"}
    assert_allclose(list(found.values()), 0, atol=1e-7)


@pytest.mark.parametrize("metric", METRICS)
def test_the_more_rows_move_the_greater_is_the_drift(metric):
    a = learned(ROWS, NAMES)

    scores = [
        drift(a, learned(ROWS + np.array([step, 0, 0]), NAMES), (), metric)["driftScore"] for step in (0.0, 0.1, 0.5)
    ]

    assert scores == sorted(scores)
    assert scores[0] < scores[2]


def test_the_distance_of_a_column_is_hellingers():
    found = drift(learned(ROWS, NAMES), learned(MOVED, NAMES), ("z",), "marginal_non_stat")

    a, b = (stats.norm(rows[:, 1].mean(), rows[:, 1].std()).pdf for rows in (ROWS, MOVED))
    shared, _ = integrate.quad(lambda x: np.sqrt(a(x) * b(x)), -20, 20)
    assert found["z_drift"] == pytest.approx(np.sqrt(1 - shared), abs=1e-6)
    assert drift(learned(ROWS, NAMES), learned(MOVED, NAMES), ("z",), "global")["driftScore"] == pytest.approx(
        found["z_drift"]
    )


def test_the_test_of_a_column_is_welchs():
    near = ROWS[:50] + np.array([0.1, 0, 0])
    found = drift(learned(ROWS, NAMES), learned(near, NAMES), ("x",), "marginal_stat")

    expected = 1 - stats.ttest_ind(ROWS[:, 0], near[:, 0], equal_var=False).pvalue
    assert found["x_drift"] == pytest.approx(expected, abs=0.02)


def test_reconstruction_is_what_components_lose_of_rows():
    found = drift(learned(ROWS, NAMES), learned(MOVED, NAMES), (), "pca_reconstruction_error")

    z, moved = ((rows - ROWS.mean(0)) / ROWS.std(0) for rows in (ROWS, MOVED))
    values, vectors = np.linalg.eigh(z.T @ z / len(z))
    kept = vectors[:, np.cumsum(values) > 0.05 * values.sum()]
    errors = [((rows - rows @ kept @ kept.T) ** 2).sum(1).mean() for rows in (z, moved)]
    assert found["driftScore"] == pytest.approx(errors[1] / errors[0] - 1)


@pytest.mark.parametrize(
    ("names", "metric", "text"), [((), "other", "metric"), (("x", "twice"), "global", "determine")]
)
def test_what_has_no_answer_is_refused(names, metric, text):
    table = learned(np.column_stack([ROWS, 2 * ROWS[:, 0]]), (*NAMES, "twice"))

    with pytest.raises(Invalid, match=text):
        drift(table, table, names, metric)
