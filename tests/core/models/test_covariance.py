"""Estimators of covariance against scikit-learn on the rows."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn import covariance as theirs
from tests.core.models.tables import diabetes, learned

from foedus.core.errors import Invalid
from foedus.core.models import Task, predicted
from foedus.core.models.covariance import CovarianceEstimate, sparse_precision
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
