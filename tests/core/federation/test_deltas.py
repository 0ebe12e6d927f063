"""What changed, applied to what was, is what is: to the byte, for any two statistics; and nothing else is."""

import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.statistics.tables import PLANS, ROWS, law, learned

from foedus.core.errors import Invalid
from foedus.core.federation.deltas import WORTH, delta, whole
from foedus.core.statistics import Batch, Column, Kind, Plan, Statistics, encode
from foedus.core.statistics.layout import head_bytes, spans

MOST = 1 << 24


def clinic(seed, count, columns=30, present=None):
    """``present``: the columns that these rows have; the others are missing in all of them."""
    rng = np.random.default_rng(seed)
    found = []
    for k in range(columns):
        values = rng.normal(50, 9, count)
        found.append(Column(f"x{k}", Kind.CONTINUOUS, values if present is None or k in present else values * np.nan))
    return Statistics.of(Batch(found), Plan(products=True))


@law
@given(ROWS, ROWS, st.sampled_from(PLANS))
def test_the_layout_is_that_of_the_codec(rows, more, plan):
    data = encode(learned(rows, plan).merge(learned(more, plan)))

    found = spans(data[: head_bytes(data)])

    ends = [span.start + span.size for span in found]
    assert [span.start for span in found] == [head_bytes(data), *ends[:-1]]
    assert ends[-1] == len(data)


@law
@given(ROWS, ROWS, st.sampled_from(PLANS), st.sampled_from(PLANS))
def test_a_change_makes_the_new_bytes_out_of_the_old_whatever_both_are(rows, more, plan, other):
    old, new = encode(learned(rows, plan)), encode(learned(more, other))

    assert whole(old, delta(old, new), MOST) == new
    assert whole(new, delta(new, old), MOST) == old


def test_a_few_rows_more_and_columns_that_stay_as_they_are_cost_less():
    held = clinic(1, 5_000)
    old = encode(held)
    same, few, some = (
        encode(held.merge(each))
        for each in (Statistics.empty(held.plan), clinic(2, 10), clinic(3, 200, present=range(5)))
    )

    assert len(delta(old, same)) < len(old) / 10
    assert len(delta(old, few)) < 0.85 * len(old)
    assert len(delta(old, some)) < len(old) / 2


def test_a_project_that_doubles_is_worth_no_change():
    held = clinic(1, 100)

    assert len(delta(encode(held), encode(held.merge(clinic(2, 100))))) > WORTH * len(encode(held))


def test_whatever_is_cut_or_longer_is_refused_and_what_is_flipped_breaks_nothing():
    old, new = encode(clinic(1, 200, 2)), encode(clinic(2, 300, 2))
    changes = delta(old, new)

    for end in range(len(changes)):
        with pytest.raises(Invalid):
            whole(old, changes[:end], MOST)
    with pytest.raises(Invalid):
        whole(old, changes + b"\0", MOST)
    for place in range(len(changes)):
        flipped = bytearray(changes)
        flipped[place] ^= 0x41
        with suppress(Invalid):  # else it leads to bytes, whose digest tells
            assert len(whole(old, bytes(flipped), MOST)) <= MOST


def test_no_more_is_unpacked_than_the_head_says_and_no_more_than_is_taken():
    old = encode(clinic(1, 200, 3))
    changes = delta(old, old)
    bomb = zlib.compress(bytes(50 << 20), 9)
    start = 9 + struct.unpack_from("<I", changes, 5)[0]

    with pytest.raises(Invalid, match="damaged"):
        whole(old, changes[:start] + struct.pack("<BQ", 1, len(bomb)) + bomb, MOST)
    with pytest.raises(Invalid, match="are taken"):
        whole(old, changes, len(old) - 1)


def test_a_change_of_other_statistics_does_not_make_these():
    old, other, new = (encode(clinic(seed, 200, 3)) for seed in (1, 2, 3))

    assert whole(other, delta(old, new), MOST) != new
    with pytest.raises(Invalid):
        whole(old[:-1], delta(old, new), MOST)
    with pytest.raises(Invalid):
        whole(b"", delta(old, new), MOST)
