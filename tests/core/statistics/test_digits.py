"""No digit is lost where the mean is large: everything against exact rational arithmetic."""

from fractions import Fraction

import numpy as np
import pytest

from foedus.core.statistics import Batch, Kind, Plan, Statistics, Table, merge_all

NAMES, KINDS = ("x", "y"), (Kind.CONTINUOUS,) * 2


def far_rows(n=3000, mean=1e8):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(n, 2))
    x[:, 1] += 0.5 * x[:, 0]
    return x + mean


def exact(rows):
    """Mean of x, then sums of u^2, u*v, u^3, u^4, u^2*v, u^2*v^2 about the means."""
    x, y = ([Fraction(v) for v in column] for column in rows.T.tolist())
    mx, my = sum(x) / len(x), sum(y) / len(y)
    pairs = [(a - mx, b - my) for a, b in zip(x, y, strict=True)]
    powers = [(2, 0), (1, 1), (3, 0), (4, 0), (2, 1), (2, 2)]
    return mx, [float(sum(u**i * v**j for u, v in pairs)) for i, j in powers]


def found(statistics):
    m = statistics.total.moments
    return [m.spread[0, 0], m.comoment[0, 1], m.cube[0], m.fourth[0], m.square[0, 1], m.product[0, 1]]


def learned(rows):
    return Statistics.of(Batch([Table(NAMES, KINDS, rows)]), Plan(products=True))


@pytest.mark.parametrize("pieces", [1, 3, 100])
def test_a_mean_of_1e8_and_a_variance_of_1_keep_twelve_digits(pieces):
    rows = far_rows()
    mean, sums = exact(rows)

    statistics = merge_all([learned(part) for part in np.array_split(rows, pieces)])

    m = statistics.total.moments
    assert abs(Fraction(m.mean[0, 0]) + Fraction(m.low[0, 0]) - mean) < Fraction(1, 10**14)
    scale = np.array([3e3, 3e3, 3e3, 9e3, 3e3, 9e3])  # third powers nearly cancel: bounded by what they are sums of
    np.testing.assert_array_less(np.abs(np.array(found(statistics)) - sums) / scale, 1e-12)


def test_learning_one_row_at_a_time_keeps_twelve_digits():
    rows = far_rows(200)
    mean, sums = exact(rows)
    statistics = Statistics.empty(Plan(products=True))

    for row in rows:
        statistics = statistics.merge(learned(row[None]))

    m = statistics.total.moments
    assert abs(Fraction(m.mean[0, 0]) + Fraction(m.low[0, 0]) - mean) < Fraction(1, 10**13)
    np.testing.assert_allclose(found(statistics), sums, rtol=1e-12, atol=1e-9)


def test_forgetting_keeps_the_digits_of_what_stays():
    rows = far_rows()
    _, sums = exact(rows[:2000])

    left = learned(rows).forget(learned(rows[2000:]))

    np.testing.assert_allclose(found(left), sums, rtol=1e-11, atol=1e-8)


def test_what_forgetting_leaves_is_bounded_by_the_largest_that_was_there():
    rows, outlier = far_rows(1000, mean=0), np.array([[1e6, -1e6]])
    _, sums = exact(rows)

    left = learned(np.concatenate([rows, outlier])).forget(learned(outlier))

    bounds = 16 * np.finfo(float).eps * np.array([1e12, 1e12, 1e18, 1e24, 1e18, 1e24])
    assert (np.abs(np.array(found(left)) - sums) <= bounds).all()
