import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from foedus.core.errors import Invalid
from foedus.simulation.partition import dirichlet_partition

LABELS = np.repeat(np.arange(10), 400)


@settings(max_examples=60, deadline=None)
@given(
    labels=st.lists(st.integers(0, 5), min_size=20, max_size=200).map(np.array),
    n=st.integers(1, 10),
    minimum=st.integers(0, 2),
    alpha=st.sampled_from([0.01, 0.1, 0.5, 5.0, 1000.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_parts_are_disjoint_cover_everything_and_hold_the_minimum(labels, n, minimum, alpha, seed):
    parts = dirichlet_partition(labels, n, alpha, np.random.default_rng(seed), minimum=minimum)

    assert len(parts) == n
    assert_array_equal(np.sort(np.concatenate(parts)), np.arange(len(labels)))
    assert min(len(part) for part in parts) >= minimum


def test_the_same_seed_divides_the_same_way():
    first = dirichlet_partition(LABELS, 8, 0.5, np.random.default_rng(3))
    second = dirichlet_partition(LABELS, 8, 0.5, np.random.default_rng(3))
    other = dirichlet_partition(LABELS, 8, 0.5, np.random.default_rng(4))

    for one, same in zip(first, second, strict=True):
        assert_array_equal(one, same)
    assert any(len(one) != len(another) for one, another in zip(first, other, strict=True))


def test_a_small_alpha_gives_each_part_few_classes_and_a_large_one_all():
    def largest_share(alpha):
        parts = dirichlet_partition(LABELS, 8, alpha, np.random.default_rng(0), minimum=40)
        return np.mean([np.bincount(LABELS[part], minlength=10).max() / len(part) for part in parts])

    # Of ten equal classes the largest holds a tenth.
    assert largest_share(1000) < 0.15
    assert 0.25 < largest_share(0.5) < largest_share(0.05)


@pytest.mark.parametrize(
    ("n", "alpha", "minimum"), [(0, 1.0, 1), (2, 0.0, 1), (2, float("nan"), 1), (2, 1.0, -1), (41, 1.0, 100)]
)
def test_an_impossible_division_is_refused(n, alpha, minimum):
    with pytest.raises(Invalid):
        dirichlet_partition(LABELS, n, alpha, np.random.default_rng(0), minimum=minimum)
