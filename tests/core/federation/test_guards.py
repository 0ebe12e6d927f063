from dataclasses import replace
from math import sqrt

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from tests.core.statistics.tables import law

from foedus.core.errors import Invalid
from foedus.core.federation.cells import attributes_with_few
from foedus.core.federation.guards import GuardRules, change_between, withheld
from foedus.core.federation.likeness import Sample, failed_tests, unlike
from foedus.core.statistics import Batch, Codes, Column, Kind, Patients, Plan, Statistics

KEY = b"a key of 16 bytes"
SKETCHED = Plan(sketches=True)
ROWS_ALONE = GuardRules(least_rows_of_a_cell=0, least_patients=0, alike=False)
CELLS_ALONE = GuardRules(rows_above_attributes=0, least_patients=0, alike=False)


def people(n, *, seed=0, shift=0.0, plan=SKETCHED, patients=None):
    """Rows of a clinic: age, smoker, town, each of which every cell has plenty."""
    rng = np.random.default_rng(seed)
    columns = [
        Column("age", Kind.CONTINUOUS, rng.normal(50 + shift, 10, n).round(1)),
        Column("smoker", Kind.BINARY, rng.permutation(np.arange(n) % 2).astype(float)),
        Codes("town", rng.permutation(np.arange(n) % 2), ("bonn", "ulm")),
    ]
    ids = [f"{seed}/{k}" for k in range(n if patients is None else patients)] + [None] * (n - (patients or n))
    return Statistics.of(Batch(columns, n), plan, patients=Patients.of(ids, KEY))


def codes(reasons):
    return {reason.code for reason in reasons}


def numbers(*values, kind=Kind.CONTINUOUS, name="x", plan=SKETCHED):
    return Statistics.of(Batch([Column(name, kind, np.array(values, float))]), plan)


@pytest.mark.parametrize(("rows", "reasons"), [(8, {"rows"}), (9, set())])
def test_it_takes_five_rows_more_than_attributes_and_each_level_is_one(rows, reasons):
    assert codes(withheld(people(rows), None, ROWS_ALONE)) == reasons  # age, smoker, town$bonn, town$ulm


@pytest.mark.parametrize(("more", "reasons"), [(8, {"changed_rows"}), (9, set())])
def test_so_it_does_of_rows_that_came_and_of_rows_that_went(more, reasons):
    few = people(100)
    many = few.merge(people(more, seed=1))

    assert codes(withheld(many, few, ROWS_ALONE)) == reasons
    assert codes(withheld(few, many, ROWS_ALONE)) == reasons


def test_what_was_sent_may_be_sent_again():
    sent = people(1)

    assert withheld(people(1), sent, GuardRules()) == ()


def test_rows_that_went_are_judged_though_patients_are_never_sent():
    many, few = people(400).merge(people(200, seed=7)), people(400)

    assert withheld(few, replace(many, patients=None), GuardRules()) == ()


def test_rows_both_learned_and_forgotten_are_refused_for_nobody_can_check_the_difference():
    sent, total = people(100, seed=1), people(300, seed=2)

    assert codes(withheld(total, sent, ROWS_ALONE)) == {"incomparable"}
    assert codes(withheld(people(300, plan=Plan()), sent, ROWS_ALONE)) == {"incomparable"}


def test_a_change_is_what_subtraction_tells():
    sent, more = people(100, seed=1), people(40, seed=2)
    total = sent.merge(more)

    came, went = change_between(sent, total), change_between(total, sent)

    assert (came.rows.rows, came.before.rows) == (went.rows.rows, went.before.rows) == (40, 100)
    assert came.rows.total.sketches[0].bits() == more.total.sketches[0].bits()


@pytest.mark.parametrize(
    ("ones", "zeros", "few"), [(10, 10, ()), (9, 99, ("x",)), (99, 9, ("x",)), (0, 10, ()), (10, 0, ()), (0, 9, ("x",))]
)
def test_a_binary_attribute_needs_enough_ones_and_enough_zeros(ones, zeros, few):
    assert attributes_with_few(numbers(*[1] * ones, *[0] * zeros, kind=Kind.BINARY), 10) == few


def test_a_rare_level_is_reported_by_the_name_of_its_attribute_alone():
    town = Codes("town", np.array([0] * 50 + [1] * 50 + [2] * 9), ("bonn", "ulm", "zell"))
    statistics = Statistics.of(Batch([town]))

    reasons = withheld(statistics, None, CELLS_ALONE)

    assert [dict(reason.facts) for reason in reasons] == [{"attribute": "town", "wanted": 10}]
    assert "zell" not in reasons[0].text


@pytest.mark.parametrize(("missing", "few"), [(9, ("x", "y")), (10, ()), (0, ())])
def test_rows_where_only_one_of_two_attributes_is_known_are_a_cell(missing, few):
    # The mean of x over all rows, less that over rows where y is known too, is the mean of the others: of one row, x.
    x, y = np.arange(100.0), np.where(np.arange(100) < missing, np.nan, 1.5)
    statistics = Statistics.of(Batch([Column("x", Kind.CONTINUOUS, x), Column("y", Kind.CONTINUOUS, y)]))

    assert attributes_with_few(statistics, 10) == (few and ("x",))


def test_a_binary_attribute_is_counted_where_each_other_one_is_known():
    flag = np.arange(100) % 2
    y = np.where((flag == 1) & (np.arange(100) > 15), np.nan, np.arange(100.0))  # of the 50 known, 8 have flag 1
    statistics = Statistics.of(
        Batch([Column("flag", Kind.BINARY, flag.astype(float)), Column("y", Kind.CONTINUOUS, y)])
    )

    assert attributes_with_few(statistics, 10) == ("flag",)
    assert attributes_with_few(statistics, 8) == ()


def test_cells_within_the_level_of_a_target_count_too():
    sick, smoker = np.array([1] * 20 + [0] * 80), np.array([1] * 5 + [0] * 15 + [1] * 40 + [0] * 40)
    columns = [Column("sick", Kind.BINARY, sick.astype(float)), Column("smoker", Kind.BINARY, smoker.astype(float))]

    assert attributes_with_few(Statistics.of(Batch(columns)), 10) == ()
    assert attributes_with_few(Statistics.of(Batch(columns), Plan(targets=("sick",))), 10) == ("smoker",)


def test_cells_of_the_change_count_though_those_of_all_rows_are_large():
    sent = people(100)
    total = sent.merge(people(40, seed=1)).merge(numbers(*[1] * 4, kind=Kind.BINARY, name="smoker"))

    reasons = withheld(total, sent, CELLS_ALONE)

    assert ("changed_cell", "smoker") in {(reason.code, reason.facts["attribute"]) for reason in reasons}
    assert "cell" not in {r.code for r in reasons if r.facts["attribute"] == "age"}


@pytest.mark.parametrize(("patients", "reasons"), [(24, {"patients"}), (25, set())])
def test_it_takes_twenty_five_patients(patients, reasons):
    rules = GuardRules()

    assert codes(withheld(people(100, patients=patients), None, rules)) == reasons
    assert not withheld(people(100, patients=patients), None, rules.without_hipaa())


def test_rows_of_nobody_knows_whom_are_refused():
    assert "patients_unknown" in codes(withheld(numbers(*range(50)), None, GuardRules()))


def test_a_like_change_passes_and_an_unlike_one_is_told_by_attribute_and_test_without_a_value():
    sent = people(400)

    assert withheld(sent.merge(people(200, seed=7)), sent, GuardRules()) == ()
    (reason,) = withheld(sent.merge(people(200, seed=1, shift=20)), sent, GuardRules())

    assert (reason.code, reason.facts["attribute"]) == ("unlike", "age")
    assert reason.facts["tests"] == "integral,smirnov,welch"
    assert not any(c.isdigit() for c in reason.text)


def test_a_sum_of_many_nodes_is_not_asked_for_likeness():
    sent = people(400)

    assert withheld(sent.merge(people(200, seed=1, shift=20)), sent, GuardRules().of_a_sum()) == ()


@pytest.mark.parametrize(("patients", "reasons"), [(24, {"patients"}), (25, set())])
def test_of_statistics_that_do_not_say_it_patients_are_told_beside_them(patients, reasons):
    rules = GuardRules().of_a_sum()

    assert codes(withheld(numbers(*range(50)), None, rules, patients=patients)) == reasons


def test_without_sketches_likeness_cannot_be_shown():
    sent = people(400, plan=Plan())

    (reason,) = withheld(sent.merge(people(200, seed=1, plan=Plan())), sent, GuardRules())

    assert (reason.facts["attribute"], reason.facts["tests"]) == ("age", "distribution")
    assert "sketches" in reason.text


def sample(n, mean, variance, least=0.0, most=1.0, *, binary=True):
    return Sample(n, mean, variance, least, most, binary, None)


def test_welch_by_hand():
    # t = 0.2 / sqrt(.25/100 + .21/10) = 1.3047, df = .0235**2 / (.0025**2/99 + .021**2/9) = 11.26: p = .218
    assert "welch" not in failed_tests(sample(100, 0.5, 0.25), sample(10, 0.7, 0.21))
    # t = 0.2 / sqrt(.25/100 + .21/100) = 2.949, df = 196.5: p = .0036
    assert "welch" in failed_tests(sample(100, 0.5, 0.25), sample(100, 0.7, 0.21))


def test_welch_where_one_or_both_do_not_vary():
    # One does not: t = 0.5 / sqrt(.25/16) = 4 with 16 degrees of freedom; 0.1 gives t = 0.8.
    assert "welch" in failed_tests(sample(16, 0.5, 0.25), sample(5, 1.0, 0.0))
    assert "welch" not in failed_tests(sample(16, 0.5, 0.25), sample(5, 0.6, 0.0))
    assert "welch" in failed_tests(sample(16, 1.0, 0.0), sample(5, 0.9, 0.0))
    assert "welch" not in failed_tests(sample(16, 1.0, 0.0), sample(5, 1.0, 0.0))


def test_smirnov_by_hand():
    # 1.358 * sqrt(200 / 10,000) = 0.19206
    assert "smirnov" not in failed_tests(sample(100, 0.3, 0.21), sample(100, 0.49, 0.2499))
    assert "smirnov" in failed_tests(sample(100, 0.3, 0.21), sample(100, 0.50, 0.25))


@pytest.mark.parametrize(("m", "limit"), [(10, 0.2), (11, 0.1), (25, 0.1), (26, 0.05)])
def test_the_integral_test_is_stricter_the_more_rows_come(m, limit):
    a = sample(1000, 10.0, 400.0, 0.0, 40.0)

    for step, failed in ((0.99, False), (1.01, True)):  # both ranges: sqrt(40 * 10) = 20
        b = sample(m, 10.0 + limit * 20 * step, 9.0, 5.0, 15.0)
        assert ("integral" in failed_tests(a, b)) is failed


def test_the_integral_test_is_for_what_varies():
    assert "integral" not in failed_tests(sample(50, 0.5, 0.25), sample(50, 1.0, 0.0))


@law
@given(st.integers(0, 10_000), st.floats(-1, 1), st.floats(0.3, 3), st.integers(5, 300), st.integers(5, 300))
def test_the_tests_decide_as_scipy_does(seed, shift, scale, n, m):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(0, 1, n), rng.normal(shift, scale, m)

    found = {test for finding in unlike(numbers(*x), numbers(*y)) for test in finding.tests}

    df = (x.var() / n + y.var() / m) ** 2 / ((x.var() / n) ** 2 / (n - 1) + (y.var() / m) ** 2 / (m - 1))
    t = (x.mean() - y.mean()) / sqrt(x.var() / n + y.var() / m)
    area = abs(np.trapezoid(*_gap(x, y))) / sqrt(np.ptp(x) * np.ptp(y))
    limit = 0.2 if m <= 10 else 0.1 if m <= 25 else 0.05
    assert ("welch" in found) == (2 * scipy.stats.t.sf(abs(t), df) < 0.05)
    assert ("smirnov" in found) == (
        scipy.stats.ks_2samp(x, y, method="asymp").statistic >= 1.3581 * sqrt((n + m) / (n * m))
    )
    if abs(area - limit) > 1e-4:  # the grid's step
        assert ("integral" in found) == (area > limit)


def _gap(x, y):
    """F(x) - F(y) on a fine grid, and the grid."""
    grid = np.linspace(min(x.min(), y.min()), max(x.max(), y.max()), 100_000)
    gap = np.searchsorted(np.sort(x), grid) / len(x) - np.searchsorted(np.sort(y), grid) / len(y)
    return gap, grid


def test_a_level_that_did_not_come_or_was_not_there_is_a_column_of_zeros():
    def town(*codes_):
        return Statistics.of(Batch([Codes("town", np.array(codes_), ("bonn", "ulm"))]), SKETCHED)

    mixed, alike, alone = town(*[0, 1] * 30), town(*[0, 1] * 20), town(*[0] * 40)

    assert not unlike(mixed, alike)
    assert unlike(mixed, alone)[0].attribute == unlike(alone, mixed)[0].attribute == "town"


def test_an_attribute_that_was_never_sent_is_compared_with_nothing():
    sent = people(400)
    total = sent.merge(numbers(*range(200), name="new"))

    assert "new" not in {finding.attribute for finding in unlike(sent, total.forget(sent))}


@law
@given(st.integers(0, 1000), st.integers(1, 60), st.integers(1, 60))
def test_more_rows_of_the_same_kind_never_raise_the_bar(seed, n, m):
    sent = people(n, seed=seed)
    total = sent.merge(people(m, seed=seed + 1))

    refused = codes(withheld(total, sent, ROWS_ALONE))

    assert ("rows" in refused) == (n + m < 9)
    assert ("changed_rows" in refused) == (m < 9)


@pytest.mark.parametrize("number", [-1, 10_000_000])
def test_rules_have_sensible_numbers(number):
    with pytest.raises(Invalid):
        GuardRules(least_patients=number)
