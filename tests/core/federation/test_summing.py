from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.statistics.tables import ROWS, batch, law, learned

from foedus.core.errors import Conflict, Invalid, TooLarge
from foedus.core.federation.outlines import Outline, box_around, frame_of
from foedus.core.federation.summing import from_words, length_of, numbers_of, to_words
from foedus.core.statistics import Batch, Column, Kind, Plan, Statistics, decode, encode, merge_all

FULL = Plan(products=True, targets=("flag", "colour"))


def summed(sites):
    frame = frame_of([Outline.of(site) for site in sites])
    words = np.add.reduce([to_words(site, frame) for site in sites])
    assert len(words) == length_of(frame)
    return from_words(words, frame), frame


def assert_close(told, whole, frame):
    """To what fixed-point numbers leave, in units of the ranges that were agreed on."""
    assert (told.rows, told.columns, told.plan) == (whole.rows, whole.columns, whole.plan)
    assert told.parts.keys() == whole.parts.keys()
    for part in (None, *whole.parts):
        a, b = told.view(part=part), whole.view(part=part)
        r = np.array([frame.radii[frame.schema.place(c)] for c in whole.columns])
        slack = 64 * max(numbers_of(frame).error, whole.rows * 2.0**-50)
        assert np.array_equal(a.n, b.n)
        np.testing.assert_allclose(a.means / r[:, None], b.means / r[:, None], atol=slack)
        np.testing.assert_allclose(a.comoment / np.outer(r, r), b.comoment / np.outer(r, r), atol=slack)
        np.testing.assert_allclose(a.cube / r**3, b.cube / r**3, atol=slack)
        np.testing.assert_allclose(a.fourth / r**4, b.fourth / r**4, atol=slack)
        m, w = a.moments, b.moments
        of_pairs = (r[m.numeric][:, None] ** 2) * r[m.watched]
        np.testing.assert_allclose(m.square / of_pairs, w.square / of_pairs, atol=slack)
        if m.products:
            of_pairs = np.outer(r[m.numeric], r[m.numeric]) ** 2
            np.testing.assert_allclose(m.product / of_pairs, w.product / of_pairs, atol=slack)


@law
@given(st.lists(ROWS.filter(bool), min_size=3, max_size=5), st.sampled_from([FULL, Plan()]))
def test_the_sum_of_what_nodes_add_is_what_all_rows_have_together(tables, plan):
    sites = [Statistics.of(batch(rows), plan) for rows in tables]

    told, frame = summed(sites)

    assert_close(told.statistics, merge_all(sites), frame)


def site(seed, n=200, centre=0.0, spread=1.0):
    rng = np.random.default_rng(seed)
    x = rng.normal(centre, spread, n)
    columns = [
        Column("x", Kind.CONTINUOUS, x),
        Column("y", Kind.CONTINUOUS, 0.5 * x + rng.normal(0, spread, n)),
        Column("flag", Kind.BINARY, (rng.random(n) < 0.4).astype(float)),
    ]
    return Statistics.of(Batch(columns, n))


def test_ones_and_counts_are_exact_and_the_rest_has_nine_digits():
    sites = [site(seed, centre=1e6, spread=10.0) for seed in range(5)]

    told, _ = summed(sites)

    whole = merge_all(sites)
    a, b = told.statistics.view(), whole.view()
    assert a.n[0, 0] == 1000
    flag = whole.columns.index("flag")
    assert a.moments.ones()[flag, 0] == b.moments.ones()[flag, 0]
    np.testing.assert_allclose(a.covariance(), b.covariance(), rtol=1e-9)
    np.testing.assert_allclose(a.mean, b.mean, rtol=1e-12)


def test_what_comes_back_can_be_kept_and_sent():
    told, _ = summed([site(seed) for seed in range(3)])

    assert decode(encode(told.statistics)) == told.statistics


def test_patients_are_counted_as_often_as_nodes_have_them():
    rows = [{"x": 1.0, "who": "a"}, {"x": 2.0, "who": "b"}]
    sites = [learned(rows, Plan()) for _ in range(3)]

    told, _ = summed(sites)

    assert told.patients == 6
    assert told.statistics.patients is None


def test_extremes_are_those_that_were_agreed_on_not_those_of_a_row():
    told, frame = summed([site(seed) for seed in range(3)])

    view = told.statistics.view(["x"])
    at = frame.schema.place("x")
    assert (view.least[0], view.most[0]) == (-frame.radii[at] + frame.centres[at], frame.radii[at] + frame.centres[at])


@pytest.mark.parametrize(
    ("least", "most", "box"),
    [(3.3, 4.9, (2, 6)), (-7.1, 60.2, (-128, 128)), (20.0, 20.0, (0, 32)), (0.0, 0.0, (0, 0)), (5.0, 7.0, (4, 8))],
)
def test_a_range_is_told_coarsely(least, most, box):
    assert box_around(least, most) == box


@given(st.floats(-1e70, 1e70), st.floats(-1e70, 1e70))
def test_a_range_told_coarsely_holds_the_values(a, b):
    least, most = min(a, b), max(a, b)

    low, high = box_around(least, most)

    assert low <= least <= most <= high


def test_values_beyond_the_range_agreed_on_are_refused_up_front_by_the_attributes_name():
    frame = frame_of([Outline.of(site(seed)) for seed in range(3)])

    with pytest.raises(TooLarge) as caught:
        to_words(site(0, centre=1e6), frame)
    assert caught.value.context == {"attribute": "x"}


def test_what_changed_since_it_was_agreed_on_is_refused():
    frame = frame_of([Outline.of(site(seed)) for seed in range(3)])

    for changed in (
        site(0, n=300),
        site(0).merge(Statistics.of(Batch([Column("z", Kind.CONTINUOUS, np.ones(3))]))),
        site(0).merge(Statistics.of(Batch([Column("x", Kind.CONTINUOUS, np.ones(3))]))),
        Statistics.of(Batch([Column("x", Kind.CONTINUOUS, np.ones(3))]), Plan(products=True)),
    ):
        with pytest.raises(Conflict):
            to_words(changed, frame)


def test_a_sum_that_no_rows_can_have_is_refused():
    sites = [site(seed) for seed in range(3)]
    frame = frame_of([Outline.of(each) for each in sites])
    words = np.add.reduce([to_words(each, frame) for each in sites])
    lie = words.copy()
    lie[2] += numbers_of(frame).encode(np.array([100.0]))[0]  # more than there are rows

    with pytest.raises(Invalid, match="statistics of any rows"):
        from_words(lie, frame)
    with pytest.raises(Invalid, match="length"):
        from_words(words[:-1], frame)


def test_nodes_that_keep_different_things_have_no_frame():
    with pytest.raises(Conflict):
        frame_of([Outline.of(site(0)), Outline.of(Statistics.of(batch([{"x": 1.0}]), FULL))])


@pytest.mark.parametrize(
    "change", [{"rows": 0}, {"rows": 1 << 60}, {"boxes": ()}, {"together": (0,)}, {"boxes": ((2.0, 1.0), (0.0, 1.0))}]
)
def test_an_outline_that_is_none_is_refused(change):
    with pytest.raises(Invalid):
        replace(Outline.of(site(0)), **change)


def test_any_difference_makes_another_frame():
    frame = frame_of([Outline.of(site(seed)) for seed in range(3)])

    assert len({replace(frame, **change).digest for change in ({}, {"rows": 4096}, {"nodes": 9}, {"plan": FULL})}) == 4
