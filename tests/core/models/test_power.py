"""Transformed targets."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import yeojohnson
from tests.core.models.tables import diabetes, learned

from foedus.core.errors import Invalid
from foedus.core.models import Task, predicted
from foedus.core.models.power import PowerRegression, restored, transformed

VALUES = np.array([-40.0, -1.5, -0.1, 0.0, 0.2, 3.0, 77.0])


@pytest.mark.parametrize("power", [-1.0, 0.0, 0.5, 1.0, 2.0, 3.0])
def test_transforms_are_those_of_scipy_and_are_undone(power):
    assert_allclose(transformed(VALUES, power), yeojohnson(VALUES, power), rtol=1e-12)
    assert_allclose(restored(transformed(VALUES, power), power), VALUES, rtol=1e-6, atol=1e-12)


def test_the_power_that_fits_best_is_found():
    rows, _ = diabetes()
    rng = np.random.default_rng(0)
    y = restored(0.2 * rows[:, 2] + rng.normal(size=len(rows)) * 0.1, 0.0)
    powers = (-1.0, 0.0, 1.0)
    table = np.column_stack([rows[:, 2], y, *(transformed(y, p) for p in powers)])
    statistics = learned(table, ("bmi", "y", *(f"pt_y^{p:g}" for p in powers)))

    model = PowerRegression().fit(statistics, Task(("bmi",), ("y",)))

    assert model.power == 0
    assert_allclose(np.log1p(predicted(model, {"bmi": rows[:, 2]})["res"]), 0.2 * rows[:, 2], atol=0.1)


def test_a_project_without_powers_is_told_how_to_have_them():
    rows, names = diabetes()

    with pytest.raises(Invalid, match="power columns"):
        PowerRegression().fit(learned(rows, names), Task(names[:2], names[-1:]))
