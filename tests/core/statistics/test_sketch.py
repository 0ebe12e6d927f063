import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.statistics.tables import law

from foedus.core.errors import Conflict, Invalid
from foedus.core.statistics.sketch import MAX_BINS, Sketch

VALUES = st.lists(st.floats(-1e70, 1e70), max_size=50).map(np.array)
MANY = st.builds(
    lambda seed, n, mean: np.random.default_rng(seed).normal(mean, 1, n),
    st.integers(0, 9), st.integers(0, 4000), st.sampled_from([0, 1e8, -1e8]),
)  # fmt: skip


def of(values):
    return Sketch.empty().added(np.asarray(values, float))


@law
@given(st.lists(MANY | VALUES, max_size=4), st.randoms())
def test_any_grouping_in_any_order_gives_the_same_bits(parts, shuffle):
    pooled = of(np.concatenate([np.zeros(0), *parts]))
    shuffle.shuffle(parts)
    one_by_one, by_value = Sketch.empty(), Sketch.empty()

    for part in parts:
        one_by_one = of(part).merged(one_by_one)
        by_value = by_value.added(part)

    assert one_by_one.bits() == pooled.bits() == by_value.bits()
    assert len(pooled.keys) <= MAX_BINS


def test_a_sketch_is_no_coarser_than_it_must_be():
    sketch = of(np.random.default_rng(1).normal(size=100_000))

    finer = np.unique(of_keys(np.random.default_rng(1).normal(size=100_000)) >> (sketch.coarseness - 1))

    assert len(sketch.keys) <= MAX_BINS < len(finer)


def of_keys(values):
    bits = values.view(np.int64)
    return np.where(bits < 0, bits ^ np.iinfo(np.int64).max, bits)


@pytest.mark.parametrize(("mean", "scale"), [(0, 1), (1e8, 1), (-5, 1e-6), (1e-9, 1e6)])
def test_quantiles_are_close_wherever_the_data_lie(mean, scale):
    values = np.random.default_rng(2).normal(mean, scale, 200_000)
    sketch, shares = of(values), np.linspace(0.01, 0.99, 25)

    found = sketch.quantile(shares)

    assert np.abs(np.sort(values).searchsorted(found) / len(values) - shares).max() < 0.005
    assert np.abs(sketch.below(np.quantile(values, shares)) - shares).max() < 0.005


def test_few_values_are_kept_as_they_are():
    sketch = of([3.0, 1.0, 3.0, -2.0])

    assert sketch.edges[0].tolist() == [-2.0, 1.0, 3.0]
    assert sketch.quantile(np.array([0.0, 1.0])).tolist() == pytest.approx([-2.0, 3.0])


@law
@given(MANY, MANY)
def test_counts_are_forgotten_exactly(kept, gone):
    both = of(np.concatenate([kept, gone]))

    left = both.without(of(gone))

    assert left.n == len(kept)
    assert left.bits() == of(kept).bits() or left.coarseness > of(kept).coarseness


def test_values_that_were_never_there_are_not_forgotten():
    with pytest.raises(Conflict):
        of([1.0]).without(of([2.0]))


def test_nothing_has_no_distribution():
    for ask in (Sketch.empty().quantile, Sketch.empty().below):
        with pytest.raises(Invalid):
            ask(np.array([0.5]))
