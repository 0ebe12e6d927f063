import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.core.statistics.tables import PLANS, ROWS, batch, exact, law, learned, number

from foedus.core.errors import Conflict, Invalid, NotFound
from foedus.core.statistics import Batch, Codes, Column, Kind, Patients, Plan, Statistics, Table, merge_all

FLOATS = ("mean", "spread", "comoment", "cube", "fourth", "square", "product", "low")


def assert_same(a, b, scale=1e3):
    """Equal to the bit where the law is exact, and up to rounding of numbers of size ``scale`` elsewhere."""
    assert (a.schema, a.rows, list(a.parts), a.plan) == (b.schema, b.rows, list(b.parts), b.plan)
    if a.patients or b.patients:
        assert a.patients.bits() == b.patients.bits()
    for x, y in zip([a.total, *a.parts.values()], [b.total, *b.parts.values()], strict=True):
        assert x.rows == y.rows
        assert np.array_equal(x.moments.groups, y.moments.groups)
        assert np.array_equal(x.moments.counts, y.moments.counts)
        assert np.array_equal(x.moments.ones(), y.moments.ones())
        both = np.ix_(x.moments.binary, x.moments.binary)
        assert np.array_equal(x.moments.comoment[both], y.moments.comoment[both])
        for name in FLOATS:  # the sum of a handful of rows' fourth powers, at most
            power = {"mean": 1, "low": 1, "spread": 2, "comoment": 2, "cube": 3, "square": 3}.get(name, 4)
            tolerance = 1e-13 * 100 * scale**power
            np.testing.assert_allclose(getattr(x.moments, name), getattr(y.moments, name), rtol=1e-9, atol=tolerance)


def assert_is(statistics, rows, scale=1e3):
    """Every moment is that of ``rows``, computed with fractions."""
    v = statistics.view()
    for i, a in enumerate(v.columns):
        for j, b in enumerate(v.columns):
            n, mean, _, comoment = exact(rows, a, b)
            assert v.n[i, j] == n
            assert v.means[i, j] == pytest.approx(float(mean), rel=1e-14, abs=1e-14 * scale)
            assert v.comoment[i, j] == pytest.approx(float(comoment), rel=1e-12, abs=1e-13 * scale**2)
        assert v.cube[i] == pytest.approx(float(exact(rows, a, a, 2, 1)[3]), rel=1e-9, abs=1e-12 * scale**3)
        assert v.fourth[i] == pytest.approx(float(exact(rows, a, a, 2, 2)[3]), rel=1e-9, abs=1e-12 * scale**4)


@law
@given(ROWS)
def test_every_moment_is_that_of_exact_arithmetic(rows):
    statistics = learned(rows)

    assert_is(statistics, rows)
    assert set(statistics.columns) == {
        f"colour${row['colour']}" if name == "colour" else name
        for row in rows
        for name in ("x", "y", "late", "flag", "colour")
        if row.get(name) is not None
    }


@law
@given(ROWS)
def test_squares_and_squared_products_are_those_of_exact_arithmetic(rows):
    v = learned(rows).view()

    for i, a in enumerate(v.columns):
        for j, b in enumerate(v.columns):
            values = [(number(row, a), number(row, b)) for row in rows]
            expected = sum((x * y) ** 2 for x, y in values if x is not None and y is not None)
            assert v.squared_products(i, j) == pytest.approx(float(expected), rel=1e-9, abs=1e-2)  # of up to 1e13


@law
@given(ROWS)
@example([{"y": 769.0}, {"y": 0.0, "flag": 1}, {"y": 0.007812, "flag": 0}])
@example([{"y": 769.0}, {"y": 769.0}, {"y": 0.0, "flag": 1}, {"y": 0.007812, "flag": 0}, {"y": 769.0}])
def test_groups_are_those_of_the_rows_with_that_value(rows):
    v = learned(rows, PLANS[0]).view()

    for j in np.flatnonzero(v.binary):
        for i, a in enumerate(v.columns):
            for level in (0, 1):
                found = [number(r, a) for r in rows if number(r, v.columns[j]) == level and number(r, a) is not None]
                group = v.where(i, j, level)
                assert group.n == len(found)
                if found:
                    mean = sum(found) / len(found)
                    assert group.mean == pytest.approx(float(mean), abs=1e-9)
                    assert group.spread == pytest.approx(float(sum((x - mean) ** 2 for x in found)), abs=1e-5)


@law
@given(ROWS)
def test_a_part_is_the_statistics_of_its_rows(rows):
    statistics = learned(rows)

    for (target, level), part in statistics.parts.items():
        own = [r for r in rows if r.get(target) is not None and str(r[target]) == level]
        assert part.rows == len(own) > 0
        assert_is(replace(statistics, total=part, parts={}), own)


@law
@given(ROWS, st.sampled_from(PLANS))
def test_no_rows_change_nothing(rows, plan):
    statistics = learned(rows, plan)

    assert statistics.merge(Statistics.empty(plan)) == statistics
    assert Statistics.empty(plan).merge(statistics) == statistics
    assert learned([], plan) == Statistics.empty(plan)


@law
@given(ROWS, ROWS, st.sampled_from(PLANS))
def test_either_side_may_merge_the_other_to_the_same_bits(a, b, plan):
    assert learned(a, plan).merge(learned(b, plan)) == learned(b, plan).merge(learned(a, plan))


@law
@given(ROWS, ROWS, ROWS, st.sampled_from(PLANS))
def test_grouping_changes_rounding_alone(a, b, c, plan):
    x, y, z = (learned(rows, plan) for rows in (a, b, c))

    assert_same(x.merge(y).merge(z), x.merge(y.merge(z)))


@law
@given(st.lists(ROWS, max_size=5), st.sampled_from(PLANS), st.randoms())
def test_merging_sites_is_pooling_their_rows(sites, plan, shuffle):
    pooled = learned([row for site in sites for row in site], plan)
    parts = [learned(site, plan) for site in sites]
    shuffle.shuffle(parts)

    assert_same(merge_all(parts, plan), pooled)


@law
@given(st.lists(ROWS, max_size=5), st.randoms())
def test_whoever_has_the_same_parts_gets_the_same_bits(sites, shuffle):
    parts = [learned(site) for site in sites]
    before = merge_all(parts, PLANS[1])
    shuffle.shuffle(parts)

    assert merge_all(parts, PLANS[1]) == before


@law
@given(ROWS, ROWS, st.sampled_from(PLANS))
def test_forgetting_undoes_learning(kept, gone, plan):
    both = learned(kept, plan).merge(learned(gone, plan))

    assert_same(both.forget(learned(gone, plan)), learned(kept, plan))


@law
@given(ROWS, st.sampled_from(PLANS))
def test_forgetting_everything_leaves_nothing(rows, plan):
    assert learned(rows, plan).forget(learned(rows, plan)) == Statistics.empty(plan)


@law
@given(ROWS, st.permutations(["x", "y", "late", "flag", "colour"]))
def test_the_order_of_attributes_leaves_no_trace(rows, names):
    assert_same(Statistics.of(batch(rows, names)), Statistics.of(batch(rows)))


def test_categories_and_binaries_are_the_same_bits_however_they_are_grouped():
    rng = random.Random(4)
    rows = [{"flag": rng.choice([0, 1, None]), "colour": rng.choice(["red", "blue", None])} for _ in range(600)]
    parts = [learned(rows[k : k + 37]) for k in range(0, 600, 37)]
    one_by_one = parts[0]
    for part in parts[1:]:
        one_by_one = one_by_one.merge(part)

    assert one_by_one == merge_all(parts) == learned(rows)


def test_a_level_that_appears_late_was_zero_before():
    before, after = [{"colour": "red", "x": 1.0}] * 3, [{"colour": "blue", "x": 5.0}, {"x": 7.0}]

    v = learned(before).merge(learned(after)).view(["x", "colour$blue"])

    assert v.count.tolist() == [5, 4]
    assert v.n[0, 1] == 4
    assert (v.where(0, 1, 1).mean, v.where(0, 1, 0).mean) == (5.0, 1.0)


@pytest.mark.parametrize(
    ("forgotten", "text"),
    [
        ([{"x": 5.0}] * 3, "fewer than none"),
        ([{"z": 5.0}], "never learned"),
        ([{"flag": 1}], "fewer than none"),
        ([{"colour": "pink"}], "never learned"),
        ([{"x": -50.0}, {"x": 50.0}], "vary more"),
        ([{"x": 1.5}], "never learned"),
        ([{"x": 1.0, "who": "b"}], "patients"),
    ],
)
def test_rows_that_were_not_learned_are_not_forgotten(forgotten, text):
    names = ("x", "z", "flag", "colour")
    known = [{"x": 1.0, "flag": 0, "colour": "red", "who": "a"}, {"x": 2.0, "who": "a"}]
    plan = Plan(sketches=True)

    def of(rows):
        patients = Patients.of((row.get("who") for row in rows), b"k" * 16)
        return Statistics.of(batch(rows, names), plan, patients=patients)

    with pytest.raises(Conflict, match=text):
        of(known).forget(of(forgotten))


def test_statistics_of_other_plans_kinds_and_keys_do_not_merge():
    numbers = Statistics.of(Batch([Column("a", Kind.CONTINUOUS, np.ones(2))]))
    flags = Statistics.of(Batch([Column("a", Kind.BINARY, np.ones(2))]))
    counted = [replace(numbers, patients=Patients.of(["x"], bytes([k]) * 16)) for k in (1, 2)]

    with pytest.raises(Conflict, match="continuous here and binary there"):
        numbers.merge(flags)
    with pytest.raises(Conflict, match="keep different things"):
        numbers.merge(Statistics.empty(Plan(products=True)))
    with pytest.raises(Conflict, match="different keys"):
        counted[0].merge(counted[1])


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e71, -1e308])
def test_values_whose_powers_are_not_finite_are_refused(value):
    with pytest.raises(Invalid, match="infinite or beyond"):
        Statistics.of(Batch([Column("a", Kind.CONTINUOUS, np.array([1.0, value]))]))


@pytest.mark.parametrize("value", [2, -1, 0.5, 1e-300])
def test_a_binary_attribute_is_zero_or_one(value):
    with pytest.raises(Invalid, match="other than 0 and 1"):
        Statistics.of(Batch([Column("a", Kind.BINARY, np.array([1.0, value, np.nan]))]))


def test_rows_without_any_value_are_counted():
    statistics = Statistics.of(Batch([Column("a", Kind.CONTINUOUS, np.full(3, np.nan))]))

    assert statistics.rows == 3
    assert statistics.columns == ()


def test_two_attributes_do_not_share_a_column():
    with pytest.raises(Invalid, match="share the column"):
        Batch([Column("a$b", Kind.BINARY, np.ones(1)), Codes("a", np.zeros(1, int), ("b",))])


def test_what_is_not_there_is_not_found():
    statistics = learned([{"x": 1.0}])

    with pytest.raises(NotFound, match="'nope'"):
        statistics.view(["nope"])
    with pytest.raises(NotFound, match="'colour' is 'red'"):
        statistics.view(part=("colour", "red"))


def test_threads_and_memory_order_change_no_bit():
    rng = np.random.default_rng(5)
    values = rng.normal(size=(70_000, 3))
    values[rng.random(values.shape) < 0.01] = np.nan
    names, kinds = ("a", "b", "c"), (Kind.CONTINUOUS,) * 3

    one = Statistics.of(Batch([Table(names, kinds, values)]), PLANS[1])
    two = Statistics.of(Batch([Table(names, kinds, np.asfortranarray(values))]), PLANS[1], threads=2)

    assert one == two
