import pytest
from tests.core.strategies.rounds import model, updates

from foedus.core.errors import Invalid
from foedus.core.strategies.trimmedmean import TrimmedMean


def test_the_extremes_of_every_element_are_left_out():
    rule = TrimmedMean(byzantine=1)

    # 1, 2, 6, 50 without 1 and 50;  -9, 0, 1, 5 without -9 and 5
    state = rule.step(rule.init(model((0.0, 0.0))), updates((1.0, 0.0), (50.0, 1.0), (2.0, -9.0), (6.0, 5.0)))

    assert state.weights["w"].tolist() == [4.0, 0.5]


def test_without_liars_it_is_the_plain_mean():
    rule = TrimmedMean(byzantine=0)

    state = rule.step(rule.init(model((0.0,))), updates((1.0,), (2.0,), (6.0,)))

    assert state.weights["w"].tolist() == [3.0]


def test_a_count_below_none_is_refused():
    with pytest.raises(Invalid, match="byzantine"):
        TrimmedMean(byzantine=-1)
