"""Proximal machines against their linear systems on the rows, and against the usual machines."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.svm import LinearSVC
from tests.core.models.tables import cancer, diabetes, learned

from foedus.core.errors import Invalid
from foedus.core.models import Task, predicted
from foedus.core.models.proximal import SupportVectorMachine, SupportVectorRegression

ROWS, NAMES = cancer()
STATISTICS = learned(ROWS, NAMES, binary=("benign",))
TASK = Task(NAMES[:-1], ("benign",))


def system(x, d, nu):
    units = (x - x.mean(0)) / x.std(0)
    e = np.column_stack([units, -np.ones(len(x))])
    return units, np.linalg.solve(np.eye(e.shape[1]) / nu + e.T @ e, e.T @ d)


@pytest.mark.parametrize("nu", [0.01, 1.0, 100.0])
def test_planes_solve_the_system_of_the_paper(nu):
    units, solution = system(ROWS[:, :-1], 2 * ROWS[:, -1] - 1, nu)

    found = predicted(SupportVectorMachine(nu=nu).fit(STATISTICS, TASK), dict(zip(NAMES, ROWS.T, strict=True)))

    assert_allclose(found["resZ"], units @ solution[:-1] - solution[-1], rtol=1e-8, atol=1e-10)


def test_decisions_are_near_those_of_the_usual_machine():
    found = predicted(SupportVectorMachine().fit(STATISTICS, TASK), dict(zip(NAMES, ROWS.T, strict=True)))

    x = (ROWS[:, :-1] - ROWS[:, :-1].mean(0)) / ROWS[:, :-1].std(0)
    usual = LinearSVC(random_state=0).fit(x, ROWS[:, -1]).predict(x)
    assert np.mean(found["res"] == usual) > 0.95


def test_regression_solves_the_same_system():
    table, names = diabetes()
    units, solution = system(table[:, :-1], table[:, -1], 10.0)

    model = SupportVectorRegression(nu=10.0).fit(learned(table, names), Task(names[:-1], names[-1:]))

    found = predicted(model, dict(zip(names, table.T, strict=True)))["res"]
    assert_allclose(found, units @ solution[:-1] - solution[-1], rtol=1e-9)


def test_one_class_is_not_enough():
    table = ROWS[ROWS[:, -1] == 0]

    with pytest.raises(Invalid, match="both classes"):
        SupportVectorMachine().fit(learned(table, NAMES, binary=("benign",)), TASK)
