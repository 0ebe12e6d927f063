"""Penalised regression against scikit-learn on the rows."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn import linear_model
from tests.core.models.tables import diabetes, learned

from foedus.core.errors import Invalid
from foedus.core.models import Task
from foedus.core.models.descent import Problem
from foedus.core.models.linear import LinearRegression
from foedus.core.models.penalized import ElasticNet, Lasso, Ridge

ROWS, NAMES = diabetes()
STATISTICS, TASK = learned(ROWS, NAMES), Task(NAMES[:-1], NAMES[-1:])
X, Y = ROWS[:, :-1], ROWS[:, -1]
UNITS = X.std(0)


def assert_equal_models(ours, theirs, scale=1.0):
    assert_allclose(ours.coefficients, theirs.coef_ / scale, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("strength", [0.01, 1.0, 30.0])
@pytest.mark.parametrize("mix", [0.2, 0.7, 1.0])
def test_the_elastic_net_is_that_of_scikit_learn(strength, mix):
    ours = ElasticNet(strength=strength, mix=mix, tolerance=1e-14).fit(STATISTICS, TASK)

    theirs = linear_model.ElasticNet(alpha=strength, l1_ratio=mix, tol=1e-14, max_iter=100_000)
    assert_equal_models(ours, theirs.fit((X - X.mean(0)) / UNITS, Y), UNITS)


def test_in_the_units_of_the_data_it_is_too():
    ours = Lasso(strength=2.0, standardize=False, tolerance=1e-14).fit(STATISTICS, TASK)

    assert_equal_models(ours, linear_model.Lasso(alpha=2.0, tol=1e-14, max_iter=100_000).fit(X, Y))


def test_ridge_takes_the_alpha_of_scikit_learn():
    ours = Ridge(alpha=3.5).fit(STATISTICS, TASK)

    theirs = linear_model.Ridge(alpha=3.5).fit((X - X.mean(0)) / UNITS, Y)
    assert_allclose(ours.coefficients, theirs.coef_ / UNITS, rtol=1e-10)


def test_without_strength_all_are_least_squares():
    plain = LinearRegression().fit(STATISTICS, TASK)

    for recipe in (Ridge(strength=0.0), Lasso(strength=0.0, tolerance=1e-14, max_iterations=100_000)):
        assert_allclose(recipe.fit(STATISTICS, TASK).coefficients, plain.coefficients, rtol=1e-6)


def test_the_criterion_finds_a_model_no_worse_than_any_on_the_grid():
    options = {"search": "aicc", "min_power": -2, "max_power": 2, "steps": 5, "mix_steps": 3}

    best = ElasticNet(**options).fit(STATISTICS, TASK)

    others = [ElasticNet(strength=s, mix=1.0).fit(STATISTICS, TASK) for s in (0.01, 0.1, 1.0, 10.0)]
    assert best.aicc <= min(model.aicc for model in others) + 1e-3
    n, k = 442, np.count_nonzero(best.coefficients)
    rest = ((Y - X @ best.coefficients - best.intercept) ** 2).sum()
    assert_allclose(best.aicc, n * np.log(rest / n) + 2 * k + 2 * k * (k + 1) / (n - k - 1), rtol=1e-9)


def test_debiased_coefficients_are_least_squares_on_the_inputs_used():
    ours = Lasso(strength=5.0, debias=True).fit(STATISTICS, TASK)

    used = np.flatnonzero(ours.coefficients)
    expected = np.linalg.lstsq(np.column_stack([np.ones(len(X)), X[:, used]]), Y)[0][1:]
    assert 0 < len(used) < 10
    assert_allclose(ours.coefficients[used], expected, rtol=1e-8)


def test_a_start_changes_nothing_but_the_way():
    ours = Lasso(strength=1.0, tolerance=1e-13, start={"bmi": 100.0}).fit(STATISTICS, TASK)

    assert_allclose(
        ours.coefficients, Lasso(strength=1.0, tolerance=1e-13).fit(STATISTICS, TASK).coefficients, atol=1e-9
    )


@pytest.mark.parametrize(
    "options", [{"strength": -1.0}, {"mix": 2.0}, {"max_iterations": 0}, {"steps": 0}, {"start": {"nobody": 1.0}}]
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(Invalid):
        ElasticNet(**options).fit(STATISTICS, TASK)


def test_descent_that_does_not_settle_says_so():
    with pytest.raises(Invalid, match="not settled"):
        Lasso(strength=1e-6, tolerance=1e-15, max_iterations=2).fit(STATISTICS, TASK)


@pytest.mark.parametrize("mix", [0.3, 1.0])
def test_correlated_inputs_settle_where_nothing_pulls_any_more(mix):
    rng = np.random.default_rng(8)
    x = rng.normal(size=(300, 1)) + 0.05 * rng.normal(size=(300, 40))  # of condition about 1e4
    y = x[:, :7] @ rng.normal(size=7) + 0.01 * rng.normal(size=300)
    x, y = x - x.mean(axis=0), y - y.mean()
    problem = Problem(x.T @ x / 300, x.T @ y / 300)

    for strength in (1e-2, 1e-3, 1e-4, 1e-4, 1e-6):  # as on a path; that one comes twice reuses its system
        found = problem.descend(strength, mix, np.zeros(40), tolerance=1e-9, sweeps=2000)

        assert found.settled
        slope = problem.cross - problem.gram @ found.b - strength * (1 - mix) * found.b
        used = found.b != 0
        assert_allclose(slope[used], strength * mix * np.sign(found.b[used]), atol=1e-9)
        assert (np.abs(slope[~used]) <= strength * mix + 1e-9).all()
        assert found.sweeps < 200
