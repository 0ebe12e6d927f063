"""Survival against statsmodels on the rows."""

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose
from statsmodels.duration.survfunc import SurvfuncRight

from foedus.core.errors import Conflict, Invalid
from foedus.core.models import document
from foedus.core.models.survival import Events, KaplanMeier

RNG = np.random.default_rng(5)
TIMES = RNG.integers(1, 40, 300).astype(float)
DIED = (RNG.random(300) < 0.6).astype(float)
GROUPS = RNG.choice(["old", "young"], 300).tolist()
EVENTS = Events.of(TIMES, DIED, GROUPS)


def test_curves_are_those_of_statsmodels():
    for curve in KaplanMeier().fit(EVENTS).curves:
        rows = np.array(GROUPS) == curve.group
        theirs = SurvfuncRight(TIMES[rows], DIED[rows])
        assert_allclose(curve.times, theirs.surv_times)
        assert_allclose(curve.survival, theirs.surv_prob, rtol=1e-12)
        assert_allclose(curve.at_risk, theirs.n_risk)


def test_intervals_come_from_greenwoods_variance_of_the_double_logarithm():
    curve = KaplanMeier().fit(Events.of(TIMES, DIED)).curves[0]

    theirs = SurvfuncRight(TIMES, DIED)
    s, error = theirs.surv_prob, theirs.surv_prob_se / theirs.surv_prob / abs(np.log(theirs.surv_prob))
    some = s > 0
    assert_allclose(curve.low[some], (s ** np.exp(1.959963984540054 * error))[some], rtol=1e-9)
    assert_allclose(curve.high[some], (s ** np.exp(-1.959963984540054 * error))[some], rtol=1e-9)


def test_merging_is_pooling_and_forgetting_undoes_it():
    one, other = (Events.of(TIMES[part], DIED[part], GROUPS[part]) for part in (slice(120), slice(120, 300)))

    merged = one.merge(other)

    assert document.encode("km", merged) == document.encode("km", EVENTS) == document.encode("km", other.merge(one))
    assert document.encode("km", merged.forget(other)) == document.encode("km", one)


def test_what_was_never_learned_cannot_be_forgotten():
    with pytest.raises(Conflict, match="never learned"):
        EVENTS.forget(Events.of(np.array([99.0]), np.array([1.0]), ["old"]))


def test_survival_is_read_at_any_time():
    model = KaplanMeier().fit(Events.of(np.array([1.0, 2.0, 3.0]), np.array([1.0, 0.0, 1.0])))

    assert [model.at("", t) for t in (0.5, 1, 2.5, 9)] == [1.0, pytest.approx(2 / 3), pytest.approx(2 / 3), 0.0]


def test_a_model_read_again_is_the_same_and_a_damaged_one_is_invalid():
    data = document.encode("km", KaplanMeier().fit(EVENTS))

    assert document.encode("km", document.decode(data)[1]) == data
    text = json.loads(data)
    text["model"]["curves"][0]["survival"] = [1]
    with pytest.raises(Invalid):
        document.decode(json.dumps(text).encode())


@pytest.mark.parametrize(("times", "died"), [([-1.0], [1.0]), ([np.nan], [1.0]), ([1.0], [0.5]), ([1.0], [1.0, 0.0])])
def test_rows_that_are_no_events_are_refused(times, died):
    with pytest.raises(Invalid):
        Events.of(np.array(times), np.array(died))


def test_a_table_without_rows_has_no_curve():
    with pytest.raises(Invalid, match="no events"):
        KaplanMeier().fit(Events())
