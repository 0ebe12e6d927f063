import numpy as np
import pytest

from foedus.core.errors import Invalid
from foedus.core.statistics import Batch, Column, Kind, Plan, Statistics, Table

BLOCK = 2048  # rows, of a table that is this wide
WIDE = 130


def rows_with_gaps_that_change_from_block_to_block():
    """Columns that had all rows in common begin to lack some, together at first, then each its own."""
    rng = np.random.default_rng(8)
    x = rng.normal(rng.normal(0, 50, WIDE), 1, size=(4 * BLOCK + 100, WIDE))
    x[:, 100:] = x[:, 100:] > 0
    x[BLOCK + 5 : BLOCK + 40, :10] = np.nan
    x[2 * BLOCK + 1 : 2 * BLOCK + 90, 5:15] = np.nan
    x[3 * BLOCK : 3 * BLOCK + 7, 7:20] = np.nan
    x[4 * BLOCK :, 100:110][rng.random((100, 10)) < 0.5] = np.nan
    x[: 2 * BLOCK, 20] = np.nan
    return x


def learned(x):
    kinds = (Kind.CONTINUOUS,) * 100 + (Kind.BINARY,) * 30
    return Statistics.of(Batch([Table(tuple(f"c{k:03}" for k in range(WIDE)), kinds, x)]))


def test_pairs_are_summed_where_both_have_values_however_gaps_change_on_the_way():
    x = rows_with_gaps_that_change_from_block_to_block()
    seen = (~np.isnan(x)).astype(float)
    n = seen.T @ seen
    u = np.where(seen > 0, x - np.nanmean(x, axis=0), 0.0)
    sums = u.T @ seen  # of column i where j is seen

    v = learned(x).view()

    assert np.array_equal(v.n, n)
    np.testing.assert_allclose(v.means, np.nanmean(x, axis=0)[:, None] + sums / n, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(v.spreads, (u * u).T @ seen - sums**2 / n, rtol=1e-10, atol=1e-8)
    np.testing.assert_allclose(v.comoment, u.T @ u - sums * sums.T / n, rtol=1e-10, atol=1e-8)


def test_columns_that_lack_the_same_rows_are_one_group():
    x = rows_with_gaps_that_change_from_block_to_block()[: 2 * BLOCK]

    groups = learned(x).total.moments.groups

    assert [len(set(groups[:10])), len(set(groups[10:20])), len(set(groups))] == [1, 1, 2]


@pytest.mark.parametrize("plan", [Plan(), Plan(products=True, sketches=True)])
@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e308, -1e71])
@pytest.mark.parametrize("kind", [Kind.CONTINUOUS, Kind.BINARY])
def test_a_value_that_is_too_large_is_refused_wherever_it_is(kind, value, plan):
    column = Column("a", kind, np.array([0.0, 1.0, np.nan, value]))

    with pytest.raises(Invalid, match=r"beyond|other than 0 and 1"):
        Statistics.of(Batch([Column("b", Kind.CONTINUOUS, np.ones(4)), column]), plan)


def far_at_first(first, n):
    """Values about 100, and y that goes with x; x is elsewhere in the rows that y lacks, which come first."""
    rng = np.random.default_rng(5)
    x = rng.normal(100, 1, size=n)
    y = rng.normal(size=n) + 0.5 * (x - 100)
    x[: len(first)], y[: len(first)] = first, np.nan
    return x, y


@pytest.mark.parametrize("first", [[1e12], np.full(600, 1e8), np.full(70_000, -1e9), np.tile([1e9, -1e9], 35_000)])
def test_rows_far_away_cost_no_digits_where_the_partner_lacks_them(first):
    x, y = far_at_first(first, 140_000)  # more than two blocks

    columns = [Column(name, Kind.CONTINUOUS, values) for name, values in (("x", x), ("y", y))]
    v = Statistics.of(Batch(columns)).view()

    u, w = (values[len(first) :] - values[len(first) :].mean() for values in (x, y))
    assert v.spreads[0, 1] == pytest.approx(u @ u, rel=1e-9)
    assert v.comoment[0, 1] == pytest.approx(u @ w, rel=1e-9)
    assert v.spreads[0, 0] == pytest.approx(((x - x.mean()) ** 2).sum(), rel=1e-9)
