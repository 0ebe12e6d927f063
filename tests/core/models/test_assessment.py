"""Measures against scikit-learn's."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn import metrics

from foedus.core.errors import Invalid
from foedus.core.models import assessment

RNG = np.random.default_rng(11)
TRUTH = (RNG.random(400) < 0.4).astype(float)
SCORES = np.round(TRUTH + RNG.normal(size=400), 1)  # rounded, so that many are equal
FOUND = (SCORES > 0.5).astype(float)
WORDS, GUESSES = RNG.choice(["a", "b", "c"], 300), RNG.choice(["a", "b", "c"], 300)


def test_the_area_and_the_curve_are_those_of_scikit_learn():
    found = assessment.roc(TRUTH, SCORES)

    fp, tp, thresholds = metrics.roc_curve(TRUTH, SCORES, drop_intermediate=False)
    assert_allclose(found.auc, metrics.roc_auc_score(TRUTH, SCORES), rtol=1e-12)
    assert_allclose(found.false_positive, fp)
    assert_allclose(found.true_positive, tp)
    assert_allclose(found.thresholds, thresholds)


@pytest.mark.parametrize(
    ("name", "theirs"),
    [("recall", metrics.recall_score), ("precision", metrics.precision_score), ("mcc", metrics.matthews_corrcoef)],
)
def test_measures_of_decisions_are_those_of_scikit_learn(name, theirs):
    assert_allclose(assessment.CRITERIA[name].of(TRUTH, FOUND), theirs(TRUTH, FOUND), rtol=1e-12)


def test_measures_of_labels_are_those_of_scikit_learn():
    labels, table = assessment.confusion(WORDS, GUESSES)

    assert labels == ("a", "b", "c")
    assert_allclose(table, metrics.confusion_matrix(WORDS, GUESSES))
    assert_allclose(assessment.accuracy(table), metrics.accuracy_score(WORDS, GUESSES))
    assert_allclose(assessment.kappa(table), metrics.cohen_kappa_score(WORDS, GUESSES))
    assert_allclose(assessment.matthews(table), metrics.matthews_corrcoef(WORDS, GUESSES))
    assert_allclose(assessment.weighted_f1(table), metrics.f1_score(WORDS, GUESSES, average="weighted"))


def test_measures_of_numbers_are_those_of_scikit_learn():
    truth, found = RNG.random(50) * 9, RNG.random(50) * 9

    assert_allclose(assessment.rmse(truth, found), metrics.root_mean_squared_error(truth, found))
    assert_allclose(assessment.r2(truth, found), metrics.r2_score(truth, found))
    assert_allclose(assessment.rmslogp1e(truth, found), metrics.root_mean_squared_log_error(truth, found))


def test_lift_is_the_share_of_ones_over_that_of_all():
    truth, scores = np.array([1, 1, 0, 1, 0, 0, 0, 0.0]), -np.arange(8.0)

    assert_allclose(assessment.lift(truth, scores, 4), [1 / 0.375, 0.5 / 0.375, 0, 0])


@pytest.mark.parametrize("measure", [assessment.roc, assessment.lift])
def test_one_class_alone_has_no_curve(measure):
    with pytest.raises(Invalid, match="both classes"):
        measure(np.ones(5), np.arange(5.0))


def test_what_does_not_match_is_refused():
    with pytest.raises(Invalid):
        assessment.rmse(np.ones(3), np.ones(4))
    with pytest.raises(Invalid):
        assessment.confusion(WORDS, GUESSES, ("a", "b"))
