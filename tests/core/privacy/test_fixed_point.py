import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foedus.core.errors import Invalid, TooLarge
from foedus.core.privacy.fixed_point import FixedPoint


def test_by_hand():
    numbers = FixedPoint(1.0, 2, 3)  # eighths

    words = numbers.encode(np.array([0.5, -0.25, 0.3]))

    assert words.tolist() == [4, 2**64 - 2, 2]
    assert numbers.decode(words + words).tolist() == [1.0, -0.5, 0.5]
    assert numbers.error == 0.125  # 0.6 is told as 0.5


@given(st.lists(st.lists(st.floats(-1e6, 1e6), min_size=4, max_size=4), min_size=1, max_size=9), st.randoms())
def test_the_sum_in_any_order_is_that_of_the_numbers_within_the_stated_bound(rows, random):
    numbers = FixedPoint.fitting(1e6, len(rows))
    words = [numbers.encode(np.array(row)) for row in rows]
    random.shuffle(words)

    told = numbers.decode(np.add.reduce(words))

    exact = [sum(int(x * 2**20) for x in column) / 2**20 for column in zip(*rows, strict=True)]
    assert np.abs(told - exact).max() <= numbers.error + len(rows) * 2.0**-20


@given(st.floats(1e-200, 1e200), st.integers(1, 1000))
def test_the_largest_sum_fits_and_its_half_bits_would_not_be_wasted(bound, parties):
    numbers = FixedPoint.fitting(bound, parties)
    one = int(numbers.encode(np.array([bound])).view(np.int64)[0])

    assert one * parties < 2**63
    assert one * parties >= 2**59


@pytest.mark.parametrize("value", [1.01, -1.01, np.nan, np.inf])
def test_a_number_that_could_overflow_is_refused_up_front(value):
    with pytest.raises(TooLarge, match="bound"):
        FixedPoint.fitting(1.0, 3).encode(np.array([0.0, value]))


def test_a_sum_that_its_parties_cannot_have_made_is_refused():
    numbers = FixedPoint.fitting(1.0, 3)

    with pytest.raises(Invalid, match="beyond"):
        numbers.decode(np.array([2**63 - 1], np.uint64))


@pytest.mark.parametrize(("bound", "parties"), [(0.0, 3), (-1.0, 3), (np.nan, 3), (np.inf, 3), (1.0, 0), (1e308, 100)])
def test_senseless_bounds_are_refused(bound, parties):
    with pytest.raises(Invalid):
        FixedPoint.fitting(bound, parties)
