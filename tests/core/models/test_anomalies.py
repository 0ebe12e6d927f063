"""Scores of unusual rows, against the same formulas on the rows."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.decomposition import PCA
from tests.core.models.tables import cancer, learned

from foedus.core.errors import Invalid
from foedus.core.models import Task, predicted
from foedus.core.models.anomalies import ComponentAnomaly, EmpiricalTails, HistogramAnomaly
from foedus.core.statistics import Plan

ROWS, NAMES = cancer()
ROWS, NAMES = ROWS[:, :-1], NAMES[:-1]
STATISTICS, TASK = learned(ROWS, NAMES), Task(NAMES)
FRAME = dict(zip(NAMES, ROWS.T, strict=True))


def test_what_components_leave_is_that_of_scikit_learn():
    found = predicted(ComponentAnomaly(explained=0.9).fit(STATISTICS, TASK), FRAME)["res"]

    units = (ROWS - ROWS.mean(0)) / ROWS.std(0)
    pca = PCA(0.9).fit(units)
    rest = units - pca.inverse_transform(pca.transform(units))
    assert_allclose(found, (rest**2).sum(1), rtol=1e-7, atol=1e-12)


def test_histograms_score_as_those_of_the_rows():
    model = HistogramAnomaly(bins=8).fit(STATISTICS, TASK)

    expected = np.zeros(len(ROWS))
    for column in ROWS.T:
        counts, edges = np.histogram(column, 8)
        place = np.clip(np.searchsorted(edges, column, side="right") - 1, 0, 7)
        expected -= np.log(np.maximum(counts, 0.1) / counts.max())[place]
    found = predicted(model, FRAME)["res"]
    assert np.corrcoef(found, expected)[0, 1] > 0.995
    assert_allclose(found, expected, atol=1.5)  # a value at the edge of a bin may be counted next door


def test_tails_score_as_those_of_the_rows():
    model = EmpiricalTails().fit(STATISTICS, TASK)

    n = len(ROWS)
    rank = np.column_stack([np.searchsorted(np.sort(c), c, side="right") for c in ROWS.T])
    low = -np.log(rank / n)
    high = -np.log(np.column_stack([np.searchsorted(np.sort(-c), -c, side="right") for c in ROWS.T]) / n)
    expected = np.maximum(low.sum(1), high.sum(1))  # every column here leans to the right
    found = predicted(model, FRAME)["ecodscore"]
    assert np.corrcoef(found, expected)[0, 1] > 0.98
    assert abs(found - expected).max() < 2.5


def test_an_outlier_scores_highest_in_all():
    far = {name: [column.mean(), column.max() * 3] for name, column in FRAME.items()}

    for recipe in (ComponentAnomaly(explained=0.8), HistogramAnomaly(), EmpiricalTails()):
        found = predicted(recipe.fit(STATISTICS, TASK), far)
        scores = found.get("ecodscore", found["res"])
        assert scores[1] > scores[0]


@pytest.mark.parametrize("recipe", [HistogramAnomaly(), EmpiricalTails()])
def test_without_sketches_there_is_no_answer(recipe):
    with pytest.raises(Invalid, match="no distribution is kept"):
        recipe.fit(learned(ROWS, NAMES, plan=Plan()), TASK)
