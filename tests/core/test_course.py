from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foedus.core.course import EarlyStopping, Evaluation, Metric, Stall, best_of, require_evaluator, stall
from foedus.core.errors import Invalid
from foedus.core.options import construct
from foedus.core.retention import Retention

values = st.lists(st.floats(-100, 100), max_size=30)


def points(*of):
    return list(enumerate(of, start=1))


@pytest.mark.parametrize(
    ("of", "patience", "min_delta", "found"),
    [
        ((0.1, 0.5, 0.5, 0.4), 2, 0.0, Stall(best=2, value=0.5, points=2)),
        ((0.1, 0.5, 0.5), 2, 0.0, None),
        ((0.1, 0.5, 0.4, 0.6), 2, 0.0, None),
        ((0.1, 0.15, 0.19), 2, 0.1, Stall(best=1, value=0.1, points=2)),
        ((0.1, 0.15, 0.25), 2, 0.1, None),  # better than the best by more than 0.1, though never than the last
        ((), 1, 0.0, None),
    ],
)
def test_patience_ends_after_so_many_points_without_a_better_one(of, patience, min_delta, found):
    rule = EarlyStopping(metric="accuracy", patience=patience, min_delta=min_delta)

    assert stall(points(*of), rule) == found


@given(values, st.integers(1, 5))
def test_least_is_best_where_the_mode_says_so(of, patience):
    greatest = EarlyStopping(metric="m", patience=patience)
    least = EarlyStopping(metric="m", patience=patience, mode="min")

    up, down = stall(points(*of), greatest), stall(points(*(-v for v in of)), least)

    assert (up is None) == (down is None)
    assert up is None or (up.best, up.points, up.value) == (down.best, down.points, -down.value)


@given(values.filter(bool))
def test_of_equally_good_checkpoints_the_first_is_best(of):
    number, value = best_of(points(*of), "max")

    assert value == max(of)
    assert of.index(max(of)) == number - 1


@pytest.mark.parametrize(
    ("cls", "options", "complaint"),
    [
        (Metric, {}, "needs the option 'metric'"),
        (Metric, {"metric": "a", "mode": "up"}, "mode must be one of"),
        (Metric, {"metric": "a", "source": "rumour"}, "source must be one of"),
        (Metric, {"metric": ""}, "metric is 1 to 100"),
        (EarlyStopping, {"metric": "a", "patience": 0}, "patience"),
        (EarlyStopping, {"metric": "a", "min_delta": -1}, "min_delta"),
        (EarlyStopping, {"metric": "a", "min_delta": float("nan")}, "min_delta"),
        (Evaluation, {"name": "a", "timeout_s": 1e6}, "timeout_s"),
        (Evaluation, {"name": "a", "every": 0}, "every"),
        (Retention, {"keep_last": 0}, "keep_last"),
        (Retention, {"keep_best": 2}, "keep_last beside it"),
        (Retention, {"keep_days": -1}, "keep_days must be a number of days above 0 and up to 3650, not -1"),
    ],
)
def test_options_that_do_not_fit_are_refused_by_name(cls, options, complaint):
    with pytest.raises(Invalid, match=complaint):
        construct(cls, options, "it")


NOW = datetime(2026, 1, 31, tzinfo=UTC)
MADE = [(number, NOW - timedelta(days=30 - number)) for number in range(31)]


@pytest.mark.parametrize(
    ("rule", "kept"),
    [
        (Retention(), range(31)),
        (Retention(keep_last=2), [29, 30]),
        (Retention(keep_last=1, keep_best=2), [7, 9, 30]),
        (Retention(keep_every=10), [0, 10, 20, 30]),
        (Retention(keep_days=3), [27, 28, 29, 30]),
        (Retention(keep_last=1, keep_every=20, keep_days=1), [0, 20, 29, 30]),
    ],
)
def test_a_checkpoint_stays_for_any_one_of_its_reasons(rule, kept):
    dropped = rule.dropped(MADE, [9, 7, 30], (), NOW)

    assert sorted(set(range(31)) - set(dropped)) == list(kept)


@given(st.integers(1, 5), st.none() | st.integers(1, 5), st.none() | st.integers(1, 9), st.sets(st.integers(0, 30)))
def test_what_is_needed_and_the_newest_always_stay(last, best, every, needed):
    rule = Retention(keep_last=last, keep_best=best, keep_every=every)

    dropped = rule.dropped(MADE, list(range(30)), needed, NOW)

    assert not {*needed, 30} & set(dropped)


def test_a_rule_that_could_never_act_is_refused():
    require_evaluator({"name": "digits"}, early_stopping={"metric": "accuracy"}, best=None)
    require_evaluator(None, early_stopping={"metric": "loss", "source": "updates"}, best={})

    with pytest.raises(Invalid, match="best goes by what the evaluator measures, and evaluation names none"):
        require_evaluator({}, early_stopping=None, best={"metric": "accuracy"})
