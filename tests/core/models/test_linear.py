"""Least squares against statsmodels, on the rows themselves."""

import numpy as np
import pytest
import statsmodels.api as sm
from numpy.testing import assert_allclose
from tests.core.models.tables import LENGTHS, diabetes, iris, learned

from foedus.core.errors import Invalid
from foedus.core.models import Task, predicted
from foedus.core.models.linear import LinearRegression

ROWS, NAMES = diabetes()


def fit(table=ROWS, names=NAMES, **options):
    return LinearRegression(**options).fit(learned(table, names), Task(names[:-1], names[-1:]))


def test_everything_is_as_statsmodels_has_it():
    ours = fit()

    theirs = sm.OLS(ROWS[:, -1], sm.add_constant(ROWS[:, :-1])).fit()
    pairs = [
        (ours.coefficients, theirs.params[1:]),
        (ours.errors, theirs.bse[1:]),
        (ours.scores, theirs.tvalues[1:]),
        (ours.p_values, theirs.pvalues[1:]),
        (np.column_stack([ours.low, ours.high]), theirs.conf_int()[1:]),
        ([ours.intercept, ours.intercept_error], [theirs.params[0], theirs.bse[0]]),
        ([ours.residual**2, ours.r2], [theirs.mse_resid, theirs.rsquared]),
    ]
    for mine, yours in pairs:
        assert_allclose(mine, yours, rtol=1e-8)
    assert_allclose(predicted(ours, dict(zip(NAMES, ROWS.T, strict=True)))["res"], theirs.fittedvalues, rtol=1e-10)


@pytest.mark.parametrize("condition", [1e1, 1e4])
def test_ten_digits_are_right_where_the_covariance_has_a_condition_of_ten_thousand(condition):
    rng = np.random.default_rng(0)
    q, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    x = rng.normal(size=(2000, 6)) @ (q * np.sqrt(np.geomspace(1, 1 / condition, 6))) @ q.T + 1e6
    table = np.column_stack([x, (x - 1e6) @ np.arange(1, 7) + rng.normal(size=2000)])

    ours = fit(table, tuple("abcdefy"))

    centred = table - table.mean(0)
    expected = np.linalg.lstsq(centred[:, :6], centred[:, 6])[0]
    assert_allclose(ours.coefficients, expected, rtol=1e-10)


def test_columns_that_determine_one_another_are_named():
    table = np.column_stack([ROWS[:, :2], ROWS[:, 0] * 2, ROWS[:, -1]])

    with pytest.raises(Invalid, match=r"'age'.*'twice'|'twice'.*'age'"):
        fit(table, ("age", "sex", "twice", "y"))


def test_the_pseudo_inverse_gives_the_answer_of_least_length_in_standard_units():
    table = np.column_stack([ROWS[:, 2], ROWS[:, 2], ROWS[:, -1]])

    ours = fit(table, ("one", "other", "y"), pseudo_inverse=True)

    alone = fit(table[:, 1:], ("other", "y"))
    assert_allclose(ours.coefficients, [alone.coefficients[0] / 2] * 2, rtol=1e-9)


def test_too_few_rows_are_refused():
    with pytest.raises(Invalid, match="12 rows or more"):
        fit(ROWS[:11])


def test_predictions_can_be_kept_from_being_negative():
    model = fit(ROWS[:, [2, 10]], ("bmi", "y"), clip_negative=True)

    assert predicted(model, {"bmi": [-100.0]})["res"] == 0


def test_missing_values_are_left_out_by_pair():
    table = ROWS[:, [2, 3, 10]].copy()
    table[::7, 0] = np.nan

    ours = fit(table, ("bmi", "bp", "y"))

    full = table[~np.isnan(table[:, 0])]
    exact = np.linalg.lstsq(np.column_stack([np.ones(len(full)), full[:, :2]]), full[:, 2])[0][1:]
    assert ours.n == len(full)
    assert_allclose(ours.coefficients, exact, rtol=0.2)  # near deletion of rows, and not equal to it


def test_iris_is_fitted_as_by_least_squares_of_its_rows():
    model = LinearRegression().fit(iris(), Task(LENGTHS[:3], LENGTHS[3:]))

    assert model.r2 == pytest.approx(0.938, abs=1e-3)
