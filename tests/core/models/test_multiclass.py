"""Discriminants of several classes against scikit-learn on the rows."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import multivariate_normal
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from tests.core.models.tables import LENGTHS, SPECIES, cancer, iris, learned, rows

from foedus.core.errors import Invalid
from foedus.core.models import Task, predicted
from foedus.core.models.multiclass import LinearDiscriminants, QuadraticDiscriminants
from foedus.core.models.shrinking import Shrinkage
from foedus.core.statistics import Batch, Codes, Column, Kind, Plan, Statistics

X, SPECIES_OF = rows()[:, :4], rows()[:, 12:].argmax(1)
FRAME = dict(zip(LENGTHS, X.T, strict=True))
TASK = Task(LENGTHS, SPECIES)


def probabilities(found):
    return np.column_stack([found[name] for name in SPECIES])


def posterior(rows, groups, covariances):
    """Bayes's rule for normal classes."""
    densities = [
        len(group) * multivariate_normal(group.mean(0), spread).pdf(rows)
        for group, spread in zip(groups, covariances, strict=True)
    ]
    return np.column_stack(densities) / sum(densities)[:, None]


GROUPS = [X[k == SPECIES_OF] for k in range(3)]


def test_quadratic_probabilities_are_those_of_normal_classes():
    found = predicted(QuadraticDiscriminants().fit(iris(), TASK), FRAME)

    expected = posterior(X, GROUPS, [np.cov(group.T) for group in GROUPS])
    assert_allclose(probabilities(found), expected, rtol=1e-7, atol=1e-12)
    assert np.mean(found["res"] == np.array(SPECIES)[quadratic(X, SPECIES_OF)]) > 0.99


def quadratic(x, y):
    return QuadraticDiscriminantAnalysis().fit(x, y).predict(x)


def test_linear_probabilities_are_those_of_normal_classes_with_one_covariance():
    found = predicted(LinearDiscriminants().fit(iris(), TASK), FRAME)

    within = sum(np.cov(group.T) * 49 for group in GROUPS) / 147
    assert_allclose(probabilities(found), posterior(X, GROUPS, [within] * 3), rtol=1e-7, atol=1e-12)
    theirs = LinearDiscriminantAnalysis().fit(X, SPECIES_OF).predict(X)
    assert np.mean(found["res"] == np.array(SPECIES)[theirs]) > 0.99


def test_a_category_is_classes_of_its_own():
    columns = [Column(name, Kind.CONTINUOUS, X[:, k]) for k, name in enumerate(LENGTHS)]
    batch = Batch([*columns, Codes("species", SPECIES_OF, ("a", "b", "c"))])
    statistics = Statistics.of(batch, Plan(targets=("species",)))

    found = predicted(QuadraticDiscriminants().fit(statistics, Task(LENGTHS, ("species",))), FRAME)

    expected = predicted(QuadraticDiscriminants().fit(iris(), TASK), FRAME)["res"]
    assert_array_equal(found["res"], np.array(["species$a", "species$b", "species$c"])[place(expected)])


def place(names):
    return [SPECIES.index(name) for name in names]


def test_one_binary_target_has_two_classes():
    table, names = cancer(4)
    model = QuadraticDiscriminants().fit(learned(table, names, binary=("benign",)), Task(names[:-1], ("benign",)))

    found = predicted(model, dict(zip(names, table.T, strict=True)))

    groups = [table[table[:, -1] == k, :-1] for k in (0, 1)]
    expected = posterior(table[:, :-1], groups, [np.cov(group.T) for group in groups])
    assert_allclose(found["1"], expected[:, 1], rtol=1e-6, atol=1e-10)


def test_shrinkage_makes_do_with_columns_that_determine_one_another():
    table = np.column_stack([X[:, 0], X[:, 0], rows()[:, 12:]])
    statistics = learned(table, ("a", "b", *SPECIES), binary=SPECIES)
    task = Task(("a", "b"), SPECIES)

    with pytest.raises(Invalid, match="determine one another"):
        LinearDiscriminants().fit(statistics, task)
    model = LinearDiscriminants(shrinkage=Shrinkage(method="identity")).fit(statistics, task)
    assert np.isfinite(model.weights).all()


def test_what_the_plan_lacks_is_named():
    statistics = learned(rows(), (*LENGTHS, *map(str, range(8)), *SPECIES), binary=SPECIES, plan=Plan())

    with pytest.raises(Invalid, match="make the project with the target 'Iris_setosa'"):
        QuadraticDiscriminants().fit(statistics, TASK)


@pytest.mark.parametrize("recipe", [LinearDiscriminants(), QuadraticDiscriminants()])
def test_rows_of_no_class_and_missing_classes_are_refused(recipe):
    with pytest.raises(Invalid, match="exactly one class"):
        recipe.fit(iris(), Task(LENGTHS, SPECIES[:2]))
    with pytest.raises(Invalid, match="no rows of these classes"):
        recipe.fit(learned(rows()[:100], (*LENGTHS, *map(str, range(8)), *SPECIES), binary=SPECIES), TASK)
    with pytest.raises(Invalid, match="binary or a category"):
        recipe.fit(iris(), Task(LENGTHS[:2], LENGTHS[2:]))
