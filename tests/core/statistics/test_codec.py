import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.statistics.tables import PLANS, ROWS, law, learned

from foedus.core.errors import Invalid
from foedus.core.statistics import decode, encode


@law
@given(ROWS, ROWS, st.sampled_from(PLANS))
def test_statistics_come_back_to_the_bit(a, b, plan):
    statistics = learned(a, plan).merge(learned(b, plan))

    assert decode(encode(statistics)) == statistics
    assert encode(decode(encode(statistics))) == encode(statistics)


def test_bytes_that_are_cut_or_continued_are_refused():
    data = encode(learned([{"x": 1.0, "flag": 1, "colour": "red", "who": "a"}, {"x": 2.5}]))

    for size in range(len(data)):
        with pytest.raises(Invalid):
            decode(data[:size])
    with pytest.raises(Invalid, match="followed by 1 bytes more"):
        decode(data + b"\0")
