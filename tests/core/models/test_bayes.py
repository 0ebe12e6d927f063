"""Naive Bayes against scikit-learn on the rows."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.naive_bayes import BernoulliNB, CategoricalNB, GaussianNB
from tests.core.models.tables import HALVES, LENGTHS, SPECIES, iris, rows

from foedus.core.errors import Invalid
from foedus.core.models import Task, predicted
from foedus.core.models.bayes import NaiveBayes
from foedus.core.statistics import Batch, Codes, Column, Kind, Statistics

ROWS = rows()
CLASS = ROWS[:, 12:].argmax(1)


def probabilities(model, frame):
    found = predicted(model, frame)
    return np.column_stack([found[label] for label in model.labels])


def test_numbers_are_normal_as_in_scikit_learn():
    model = NaiveBayes().fit(iris(), Task(LENGTHS, SPECIES))

    found = probabilities(model, dict(zip(LENGTHS, ROWS.T, strict=False)))

    assert_allclose(found, GaussianNB().fit(ROWS[:, :4], CLASS).predict_proba(ROWS[:, :4]), rtol=1e-7, atol=1e-14)


@pytest.mark.parametrize("laplace", [0.5, 1.0, 3.0])
def test_binary_inputs_are_bernoulli_as_in_scikit_learn(laplace):
    model = NaiveBayes(laplace=laplace).fit(iris(), Task(HALVES, SPECIES))

    found = probabilities(model, dict(zip(HALVES, ROWS[:, 4:12].T, strict=True)))

    theirs = BernoulliNB(alpha=laplace).fit(ROWS[:, 4:12], CLASS)
    assert_allclose(found, theirs.predict_proba(ROWS[:, 4:12]), rtol=1e-10)


def test_categories_are_multinomial_as_in_scikit_learn():
    rng = np.random.default_rng(3)
    codes, target = rng.integers(0, 4, 300), rng.integers(0, 2, 300).astype(float)
    levels = ("a", "b", "c", "d")
    batch = Batch([Codes("colour", codes, levels), Column("ill", Kind.BINARY, target)])
    model = NaiveBayes().fit(Statistics.of(batch), Task(("colour",), ("ill",)))

    found = predicted(model, {f"colour${level}": codes == k for k, level in enumerate(levels)})

    theirs = CategoricalNB().fit(codes[:, None], target)
    assert_allclose(found["1"], theirs.predict_proba(codes[:, None])[:, 1], rtol=1e-10)


def test_without_smoothing_certainty_is_refused():
    with pytest.raises(Invalid, match="choose laplace above 0"):
        NaiveBayes(laplace=0.0).fit(iris(), Task(HALVES, SPECIES))


def test_a_column_constant_within_a_class_is_named():
    constant = Column("x", Kind.CONTINUOUS, np.array([1.0, 1.0, 2.0, 3.0]))
    batch = Batch([constant, Column("y", Kind.BINARY, np.array([0, 0, 1, 1]))])

    with pytest.raises(Invalid, match="'x'"):
        NaiveBayes(smoothing=0.0).fit(Statistics.of(batch), Task(("x",), ("y",)))
