"""Estimators of covariance against scikit-learn on the rows."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn import covariance as theirs
from sklearn.exceptions import ConvergenceWarning
from tests.core.models.tables import diabetes, learned

from foedus.core.errors import Invalid
from foedus.core.models import Task, predicted
from foedus.core.models.covariance import CovarianceEstimate
from foedus.core.models.graphical import sparse_precision
from foedus.core.models.shrinking import Shrinkage, tuned

ROWS, NAMES = diabetes()
ROWS = ROWS / ROWS.std(0)
STATISTICS, TASK = learned(ROWS, NAMES), Task(NAMES)
EMPIRICAL = np.cov(ROWS.T, ddof=0)


def estimate(**options):
    return CovarianceEstimate(**options).fit(STATISTICS, TASK)


def test_the_oracle_approximating_share_is_that_of_scikit_learn():
    found = estimate(shrinkage=Shrinkage(method="identity", tuning="oas"))

    expected, share = theirs.oas(ROWS)
    assert_allclose(found.covariance, expected, rtol=1e-10)
    assert_allclose(tuned(EMPIRICAL, len(ROWS), "oas"), share, rtol=1e-10)


def test_a_fixed_share_is_that_of_scikit_learn():
    found = estimate(shrinkage=Shrinkage(method="identity", strength=0.3))

    assert_allclose(found.covariance, theirs.shrunk_covariance(EMPIRICAL, 0.3), rtol=1e-10)
    assert_allclose(found.covariance @ found.precision, np.eye(len(NAMES)), atol=1e-9)


@pytest.mark.parametrize("strength", [0.02, 0.1, 0.4])
def test_the_graphical_lasso_is_that_of_scikit_learn(strength):
    found = estimate(lasso=True, strength=strength, tolerance=1e-9, max_iterations=20_000)

    _, expected = theirs.graphical_lasso(EMPIRICAL, strength, tol=1e-9, max_iter=1000, enet_tol=1e-9)
    assert_allclose(found.precision, expected, atol=2e-4)
    assert ((found.precision == 0) == (np.abs(expected) < 1e-6)).mean() > 0.97


def test_distances_are_those_of_mahalanobis():
    found = predicted(estimate(), dict(zip(NAMES, ROWS.T, strict=True)))["res"]

    assert_allclose(found, theirs.EmpiricalCovariance().fit(ROWS).mahalanobis(ROWS), rtol=1e-9)


def test_the_criterion_chooses_a_sparse_graph():
    found = estimate(lasso=True, search="ebic")

    zeros = np.count_nonzero(found.precision == 0)
    assert 0 < zeros < found.precision.size - len(NAMES)


@pytest.mark.parametrize("method", ["ridge", "diagonal", "truncated"])
def test_every_method_gives_an_inverse(method):
    found = estimate(shrinkage=Shrinkage(method=method, strength=0.2))

    assert_allclose(found.covariance @ found.precision, np.eye(len(NAMES)), atol=1e-9)
    assert_allclose(np.trace(found.covariance), {"ridge": 1.2, "diagonal": 1.2, "truncated": 1.0}[method] * len(NAMES))


def test_rblw_lies_between_nothing_and_everything():
    assert 0 < tuned(EMPIRICAL, 20, "rblw") < 1


def test_a_lasso_that_does_not_settle_says_so():
    with pytest.raises(Invalid, match="not settled"):
        sparse_precision(EMPIRICAL, 1e-3, 1e-12, 2)


def test_columns_that_are_not_linked_are_solved_apart():
    apart = np.kron(np.eye(2), EMPIRICAL)

    found = sparse_precision(apart, 0.1, 1e-6, 1000)

    half = sparse_precision(EMPIRICAL, 0.1, 1e-6, 1000)
    assert_allclose(found, np.kron(np.eye(2), half), atol=1e-5)


def test_more_columns_than_rows_are_no_hindrance():
    few = np.random.default_rng(3).normal(size=(20, 40)) * np.logspace(-3, 3, 40)
    covariance = np.cov(few.T, ddof=0)
    scale = np.sqrt(np.diagonal(covariance))

    found = sparse_precision(covariance / np.outer(scale, scale), 0.2, 1e-6, 5000)

    difference = np.linalg.inv(found) - covariance / np.outer(scale, scale)  # the optimum: as much as the penalty
    assert_allclose(np.diagonal(difference), 0, atol=1e-5)
    assert np.abs(difference).max() <= 0.2 + 1e-4
    assert_allclose(difference[found != 0], (0.2 * np.sign(found) * (1 - np.eye(40)))[found != 0], atol=1e-4)


def test_penalties_near_nothing_and_units_far_apart_give_the_inverse():
    scale = np.logspace(-4, 4, len(NAMES))

    found = sparse_precision(EMPIRICAL * np.outer(scale, scale), 1e-12, 1e-6, 1000)

    assert_allclose(found * np.outer(scale, scale), np.linalg.inv(EMPIRICAL), rtol=0.05, atol=0.05)


def entangled(kind, p=40):
    """Covariances of columns that are strongly correlated."""
    rng = np.random.default_rng(0)
    if kind == "neighbours":
        return 0.98 ** np.abs(np.subtract.outer(np.arange(p), np.arange(p)))
    if kind == "walks":
        return np.cov(np.cumsum(rng.normal(size=(400, p)), axis=1).T, ddof=0)
    factors = rng.normal(size=(300, 3)) @ rng.normal(size=(3, p)) * 3
    return np.cov((factors + 0.3 * rng.normal(size=(300, p))).T, ddof=0)


@pytest.mark.parametrize("share", [0.1, 0.01])
@pytest.mark.parametrize("kind", ["neighbours", "walks", "factors"])
def test_columns_that_are_nearly_the_same_settle_at_the_default_options(kind, share):
    covariance = entangled(kind)
    strength = share * np.abs(covariance - np.diag(np.diagonal(covariance))).max()
    options = CovarianceEstimate()

    found = sparse_precision(covariance, strength, options.tolerance, options.max_iterations)

    def aim(precision):
        off = np.abs(precision - np.diag(np.diagonal(precision))).sum()
        return np.linalg.slogdet(precision)[1] - (covariance * precision).sum() - strength * off

    bounds = covariance - strength, covariance + strength
    nearest = np.clip(np.linalg.inv(found), *bounds)
    np.fill_diagonal(nearest, np.diagonal(covariance))
    sign, size = np.linalg.slogdet(nearest)
    assert sign == 1
    assert -size - len(covariance) - aim(found) <= 0.01 * len(covariance)  # none is beyond the dual
    try:
        _, expected = theirs.graphical_lasso(covariance, strength)
    except (FloatingPointError, ConvergenceWarning):
        return  # theirs settles at some of these only
    assert aim(found) >= aim(expected) - 1e-6


def test_a_strength_that_does_not_settle_is_left_out_of_a_search(monkeypatch):
    def picky(matrix, strength, *others):
        if strength < 0.1:
            raise Invalid("the graphical lasso has not settled")
        return sparse_precision(matrix, strength, *others)

    monkeypatch.setattr("foedus.core.models.covariance.sparse_precision", picky)

    assert estimate(lasso=True, search="ebic").strength >= 0.1


def test_covariances_that_contradict_one_another_are_told_apart():
    impossible = np.array([[1, 0.9, -0.9], [0.9, 1, 0.9], [-0.9, 0.9, 1]])

    with pytest.raises(Invalid, match="lack different rows"):
        sparse_precision(impossible, 0.01, 1e-4, 100)


def test_one_iteration_is_looked_at():
    assert_allclose(sparse_precision(np.eye(2) + 0.1, 0.0999, 1e-2, 1) @ (np.eye(2) + 0.1), np.eye(2), atol=0.2)
