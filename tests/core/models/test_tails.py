"""Extreme values against distributions whose quantiles are known, and scipy's fit."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from foedus.core.errors import Conflict, Invalid
from foedus.core.models import document
from foedus.core.models.tails import ExtremeValues, Tails, pareto
from foedus.core.models.watching import Watched


def tails(values, most=4000):
    return Tails.of(("x",), np.asarray(values, float)[:, None], most)


@pytest.mark.parametrize(
    ("law", "risk"),
    [(stats.expon(), 1e-4), (stats.genpareto(0.2), 1e-4), (stats.uniform(), 1e-3), (stats.norm(), 1e-4)],
)
def test_thresholds_come_near_the_quantile_of_the_law(law, risk):
    values = law.rvs(100_000, random_state=7)

    model = ExtremeValues(alpha=risk).fit(tails(values))

    assert_allclose(model.upper, law.ppf(1 - risk), rtol=0.1)  # a few of 2000 peaks are beyond it


def test_a_pareto_fit_is_near_the_likeliest():
    peaks = np.sort(stats.genpareto(0.25, scale=3).rvs(5000, random_state=2))

    shape, scale = pareto(peaks)

    theirs = stats.genpareto.fit(peaks, floc=0)
    assert_allclose((shape, scale), (theirs[0], theirs[2]), atol=0.15)


def test_merging_is_pooling_to_the_bit():
    values = np.random.default_rng(1).integers(0, 10_000, 5000)
    one, two = tails(values[:1000], 100), tails(values[1000:], 100)

    both = document.encode("evt", one.merge(two))

    assert both == document.encode("evt", two.merge(one)) == document.encode("evt", tails(values, 100))


def test_both_sides_are_told_apart():
    values = np.random.default_rng(4).normal(size=20_000)

    model = ExtremeValues(two_sides=True).fit(tails(values))

    said = model.predict(np.array([[0.0], [9.0], [-9.0]]))
    assert_array_equal(said["evt_is_anomaly"], [0, 1, 1])
    assert_allclose(said["evt_threshold_lower"], -said["evt_threshold_upper"], rtol=0.2)


@pytest.mark.parametrize("values", [[], [1.0] * 30, range(100)])
def test_too_few_values_are_an_error(values):
    with pytest.raises(Invalid, match="beyond the quantile"):
        ExtremeValues().fit(tails(values))


def test_values_that_are_all_the_same_are_not_extreme():
    model = ExtremeValues().fit(tails([5.0] * 5000))

    assert model.predict(np.array([[5.0], [5.1]]))["evt_is_anomaly"].tolist() == [0, 1]


def test_tails_of_other_columns_do_not_merge():
    with pytest.raises(Conflict):
        tails([1.0]).merge(Tails.of(("y",), np.zeros((1, 1)), 4000))


def test_a_watcher_warms_up_then_judges_and_does_not_learn_from_what_is_extreme():
    values = np.random.default_rng(6).normal(size=7000)
    values[6900] = 50.0
    start = Watched.new("m", "res", 5000, ExtremeValues(alpha=1e-4), 2000)

    said, after = start.judged(values)
    in_pieces = start
    for part in np.array_split(values, 7):
        found, in_pieces = in_pieces.judged(part)

    assert np.isnan(said["evt_threshold"][:5000]).all()
    assert np.flatnonzero(said["evt_is_anomaly"]).tolist() == [6900]
    assert np.flatnonzero(found["evt_is_anomaly"]).tolist() == [900]
    assert after.tails.counts[0] == in_pieces.tails.counts[0] == 6999
    assert document.decode(document.encode("evtwrapper", after))[1].judged(values[:5])[0]["evt_is_anomaly"].sum() == 0
