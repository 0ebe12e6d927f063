"""Regression on components against scikit-learn on the rows."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression as Plain
from tests.core.models.tables import diabetes, learned

from foedus.core.errors import Invalid
from foedus.core.models import Task, predicted
from foedus.core.models.latent import PartialLeastSquares, PrincipalComponents

ROWS, NAMES = diabetes()
STATISTICS, TASK = learned(ROWS, NAMES), Task(NAMES[:-1], NAMES[-1:])
X, Y = ROWS[:, :-1], ROWS[:, -1]
FRAME = dict(zip(NAMES, ROWS.T, strict=True))


def test_principal_components_predict_as_those_of_scikit_learn():
    model = PrincipalComponents(q=4).fit(STATISTICS, TASK)

    scores = PCA(4).fit_transform((X - X.mean(0)) / X.std(0))
    found = predicted(model, FRAME)
    for q in (1, 2, 3, 4):
        assert_allclose(found[str(q)], Plain().fit(scores[:, :q], Y).predict(scores[:, :q]), rtol=1e-9)
    assert_allclose(found["res"], found["4"])


@pytest.mark.parametrize("standardize", [True, False])
def test_partial_least_squares_predicts_as_that_of_scikit_learn(standardize):
    model = PartialLeastSquares(q=5, standardize=standardize).fit(STATISTICS, TASK)

    found = predicted(model, FRAME)
    for q in (1, 3, 5):
        theirs = PLSRegression(q, scale=standardize).fit(X, Y)
        assert_allclose(found[str(q)], theirs.predict(X).ravel(), rtol=1e-8)


def test_only_the_last_model_is_kept_when_asked():
    found = predicted(PartialLeastSquares(q=3, only_last=True).fit(STATISTICS, TASK), FRAME)

    assert found.keys() == {"3", "res"}


def test_all_components_are_least_squares():
    found = predicted(PrincipalComponents(q=10).fit(STATISTICS, TASK), FRAME)

    assert_allclose(found["res"], Plain().fit(X, Y).predict(X), rtol=1e-9)


def test_a_lasso_on_inputs_and_components_is_near_least_squares_without_strength():
    found = predicted(PrincipalComponents(kind="full", strength=0.0, tolerance=1e-10).fit(STATISTICS, TASK), FRAME)

    assert_allclose(found["res"], Plain().fit(X, Y).predict(X), rtol=1e-3)


@pytest.mark.parametrize("recipe", [PrincipalComponents(q=3), PartialLeastSquares(q=3)])
def test_more_components_than_there_are_is_refused(recipe):
    table = np.column_stack([X[:, 0], X[:, 0] * 2 + 1, X[:, 1], Y])

    with pytest.raises(Invalid, match="2 components, not 3"):
        recipe.fit(learned(table, ("a", "b", "c", "y")), Task(("a", "b", "c"), ("y",)))
