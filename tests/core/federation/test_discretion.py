"""Distributions as they are told: of nobody's value alone, also to whoever subtracts."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foedus.core.federation.discretion import _grouped, discreet, in_groups
from foedus.core.statistics import Batch, Column, Kind, Plan, Statistics, merge_all
from foedus.core.statistics.soundness import check_summary

LEAST = 10
numbers = st.lists(
    st.one_of(st.floats(-1e6, 1e6), st.integers(-5, 5).map(float), st.sampled_from([0.0, 1e-300, -1e-300, 1e69])),
    min_size=LEAST, max_size=80,
)  # fmt: skip


def statistics(values, smokers=None, *, targets=()):
    columns = [Column("x", Kind.CONTINUOUS, np.asarray(values, float))]
    if smokers is not None:
        columns.append(Column("smoker", Kind.BINARY, np.asarray(smokers, float)))
    return Statistics.of(Batch(columns, len(values)), Plan(sketches=True, targets=targets))


def sketch(value):
    return value.total.sketches[0]


@given(numbers)
def test_there_are_as_many_rows_as_before_and_all_else_is_untouched(values):
    before = statistics(values)
    told = discreet(before, None, LEAST)

    check_summary(told.total, told.schema)
    assert sketch(told).n == len(values)
    assert told.total.bits()[:-1] == before.total.bits()[:-1]


@given(st.lists(st.integers(1, 40), min_size=1, max_size=30))
def test_no_group_is_of_few_and_none_is_lost(counts):
    groups = _grouped(counts, LEAST)

    assert sum(n for n, _, _ in groups) == sum(counts)
    assert all(n >= LEAST for n, _, _ in groups) or len(groups) == 1
    for n, first, last in groups:
        assert n <= sum(counts[first : last + 1])
        if first == last and n < counts[first]:
            assert counts[first] > LEAST, "only what many share is told in part"
    assert all(a <= b for (_, _, a), (_, b, _) in pairwise(groups))


def test_values_that_few_share_are_spread_and_others_are_told():
    values = [1.0] * 500 + [2.0] * 300 + [2.75] + [3.0] * 200 + [97.0] + [100.0] * 30
    told = sketch(discreet(statistics(values), None, LEAST))

    low, _ = told.edges
    shares = dict(zip(low.tolist(), told.counts.tolist(), strict=True))
    assert (shares[1.0], shares[2.0], shares[3.0], shares[100.0]) == (500, 300, 191, 21)
    assert not {2.75, 97.0} & shares.keys()


def test_whoever_subtracts_finds_groups_again():
    rng = np.random.default_rng(4)
    old, new = rng.normal(50, 9, 300), rng.normal(50, 9, 40)
    first, second = statistics(old), statistics(np.concatenate([old, new]))
    told = discreet(first, None, LEAST)
    later = discreet(second, (first, told), LEAST)

    assert sketch(later).without(sketch(told)).bits() == in_groups(sketch(statistics(new)), LEAST).bits()
    assert sketch(later).n == 340


def test_after_rows_were_forgotten_groups_are_made_anew():
    values = np.random.default_rng(4).normal(50, 9, 300)
    first, fewer = statistics(values), statistics(values[:250])
    told = discreet(first, None, LEAST)

    assert discreet(fewer, (first, told), LEAST) == discreet(fewer, None, LEAST)


def test_a_new_column_and_the_levels_of_a_target_are_told_likewise():
    smokers = np.arange(400) % 2
    values = np.arange(400) / 7
    first = statistics(values[:200], smokers[:200], targets=("smoker",))
    told = discreet(first, None, LEAST)
    later = discreet(statistics(values, smokers, targets=("smoker",)), (first, told), LEAST)

    for level in ("0", "1"):
        part = later.parts["smoker", level].sketches[0]
        assert part.n == 200
        assert part.counts.max() <= 2 * LEAST
    assert sketch(later).n == 400


def test_merging_what_was_told_is_in_any_order_the_same():
    rng = np.random.default_rng(2)
    told = [discreet(statistics(rng.normal(50, 9, 80)), None, LEAST) for _ in range(3)]

    assert merge_all(told) == merge_all(told[::-1])
    assert sketch(merge_all(told)).n == 240


def test_a_distribution_stays_what_it_is_to_the_size_of_a_group():
    values = np.random.default_rng(3).normal(50, 9, 5_000)
    before, told = (sketch(each) for each in (statistics(values), discreet(statistics(values), None, LEAST)))

    assert told.distance(before) < 0.01
    shares = np.array([0.1, 0.5, 0.9])
    np.testing.assert_allclose(told.quantile(shares), before.quantile(shares), rtol=0.01)


@pytest.mark.parametrize("least", [0, 1])
def test_without_a_minimum_nothing_changes(least):
    value = statistics([1.0, 2.0] * 20)
    assert discreet(value, None, least) == value
