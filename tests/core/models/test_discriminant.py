"""Two classes: the published numbers, and scikit-learn on the rows."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from tests.core.models.tables import LENGTHS, cancer, iris, learned

from foedus.core.errors import Invalid
from foedus.core.models import Task, predicted
from foedus.core.models.discriminant import LinearDiscriminant
from foedus.core.models.shrinking import Shrinkage

ROWS, NAMES = cancer()


def test_the_published_weights_and_answers_come_out():
    model = LinearDiscriminant().fit(iris(), Task(LENGTHS[:3], LENGTHS[3:]))

    found = predicted(model, dict(zip(LENGTHS, [[4.3, 6.9], [3.0, 3.1], [1.1, 5.4]], strict=False)))

    assert_allclose(model.weights, [0.265703, -0.289087, -0.664775], atol=5e-7)
    assert_allclose(model.threshold, -3.840892, atol=5e-7)
    assert_allclose(found["resZ"], [-0.455992, -2.652608], atol=5e-7)
    assert_allclose(found["normZ"], [0.292913, 0.423267], atol=5e-7)


def test_the_threshold_that_minds_sizes_decides_as_scikit_learn():
    x, y = ROWS[:, :-1], ROWS[:, -1]

    model = LinearDiscriminant().fit(learned(ROWS, NAMES, binary=("benign",)), Task(NAMES[:-1], ("benign",)))

    theirs = LinearDiscriminantAnalysis(solver="lsqr").fit(x, y)
    assert_allclose(model.weights, theirs.coef_[0] * (len(x) - 2) / len(x), rtol=1e-8)  # theirs divide by n
    found = predicted(model, dict(zip(NAMES, x.T, strict=False)))["resU"]
    assert np.mean(found == theirs.predict(x)) > 0.995


def test_a_missing_class_is_refused():
    table = ROWS[ROWS[:, -1] == 1]

    with pytest.raises(Invalid, match="both classes"):
        LinearDiscriminant().fit(learned(table, NAMES, binary=("benign",)), Task(NAMES[:-1], ("benign",)))


def test_inputs_that_determine_one_another_are_refused():
    table = np.column_stack([ROWS[:, 0], ROWS[:, 0], ROWS[:, -1]])

    with pytest.raises(Invalid, match="determine one another"):
        LinearDiscriminant().fit(learned(table, ("a", "b", "y"), binary=("y",)), Task(("a", "b"), ("y",)))


def test_a_shrunk_covariance_makes_do_with_them():
    table = np.column_stack([ROWS[:, 0], ROWS[:, 0], ROWS[:, -1]])
    recipe = LinearDiscriminant(shrinkage=Shrinkage(method="ridge", strength=0.1))

    model = recipe.fit(learned(table, ("a", "b", "y"), binary=("y",)), Task(("a", "b"), ("y",)))

    gap = table[table[:, 2] == 1, 0].mean() - table[table[:, 2] == 0, 0].mean()
    within = sum(((group - group.mean()) ** 2).sum() for group in (table[table[:, 2] == k, 0] for k in (0, 1)))
    assert_allclose(model.weights, [gap / (2 * within / (len(table) - 2) + 0.1)] * 2, rtol=1e-9)
