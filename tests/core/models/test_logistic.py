"""Single-pass logistic regression against scikit-learn on all rows at once."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.linear_model import LogisticRegression as Theirs
from tests.core.models.tables import cancer

from foedus.core.errors import Conflict, Invalid
from foedus.core.models import document, predicted
from foedus.core.models.logistic import LogisticRegression, Posterior

ROWS, NAMES = cancer(4)
X, Y = (ROWS[:, :-1] - ROWS[:, :-1].mean(0)) / ROWS[:, :-1].std(0), ROWS[:, -1]
EMPTY = Posterior.empty(NAMES[:-1], "benign", prior=1.0)
THEIRS = Theirs(C=1.0, fit_intercept=False, tol=1e-12, max_iter=10_000).fit(np.column_stack([np.ones(len(X)), X]), Y)


def test_one_block_of_rows_is_the_penalised_maximum_of_scikit_learn():
    model = LogisticRegression().fit(EMPTY.learn(X, Y))

    assert_allclose([model.intercept, *model.coefficients], THEIRS.coef_[0], rtol=1e-5)


def test_many_blocks_and_sites_come_near_it():
    order = np.random.default_rng(0).permutation(len(X))
    sites = [order[:280], order[280:]]
    posteriors = []
    for site in sites:
        found = EMPTY
        for start in range(0, len(site), 70):
            part = site[start : start + 70]
            found = found.learn(X[part], Y[part])
        posteriors.append(found)

    merged = LogisticRegression().fit(posteriors[0].merge(posteriors[1]))

    frame = dict(zip(NAMES, X.T, strict=False))
    expected = THEIRS.predict_proba(np.column_stack([np.ones(len(X)), X]))[:, 1]
    assert np.abs(predicted(merged, frame)["Prob"] - expected).mean() < 0.02
    assert np.mean(predicted(merged, frame)["res"] == (expected >= 0.5)) > 0.98


def test_separable_rows_do_not_run_away():
    found = Posterior.empty(("x",), "y").learn(np.array([[-1.0], [1.0]] * 50), np.array([0.0, 1.0] * 50))

    assert np.isfinite(LogisticRegression().fit(found).coefficients).all()


def test_a_model_read_again_says_the_same_and_wrong_rows_are_refused():
    model = LogisticRegression().fit(EMPTY.learn(X, Y))

    _, read = document.decode(document.encode("lr", model))

    assert_allclose(read.coefficients, model.coefficients, rtol=0)
    with pytest.raises(Invalid, match="0 or 1"):
        EMPTY.learn(X, Y + 1)
    with pytest.raises(Invalid, match="no rows"):
        LogisticRegression().fit(EMPTY)
    with pytest.raises(Conflict):
        EMPTY.merge(Posterior.empty(("x",), "y"))


def test_inputs_too_unlike_in_size_are_an_error_in_words():
    rows = np.array([[1e69, 1e69], [1.0, 2.0]])

    with pytest.raises(Invalid, match="like sizes"):
        Posterior.empty(("a", "b"), "y").learn(rows, np.array([1.0, 0.0]))
