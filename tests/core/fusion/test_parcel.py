"""What cells hand over: it comes back as it was, and nothing else passes."""

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.statistics.tables import PLANS, ROWS, law, learned

from foedus.core.errors import Invalid
from foedus.core.fusion.parcel import (
    MAX_HOPS,
    Circle,
    CountedTwice,
    Parcel,
    check_chain,
    joined,
    member_of,
    pack,
    unpack,
)

MEMBERS = frozenset({member_of("a"), member_of("b")})


def parcel(rows, plan=PLANS[1]):
    value = learned(rows, plan)
    letters = {"flag": "B"} | {c: "B" for c in value.columns if "$" in c}
    return Parcel(tuple((c, letters.get(c, "C")) for c in reversed(value.columns)), MEMBERS, value)


@law
@given(ROWS, st.sampled_from(PLANS))
def test_a_parcel_comes_back_but_for_its_patients(rows, plan):
    sent = parcel(rows, plan)

    back = unpack(pack(sent))

    assert (back.columns, back.members) == (sent.columns, sent.members)
    assert back.value.patients is None
    assert pack(back) == pack(sent)
    assert back.value.total.bits() == sent.value.total.bits()


def test_whatever_is_cut_changed_or_added_is_refused_or_is_a_parcel():
    data = pack(parcel([{"x": 1.5, "flag": 1}, {"x": -2.0, "flag": 0}]))

    for end in range(0, len(data), 7):
        with pytest.raises(Invalid):
            unpack(data[:end])
    for place in range(0, len(data), 3):
        changed = data[:place] + bytes([data[place] ^ 0x41]) + data[place + 1 :]
        with suppress(Invalid):  # and nothing else
            unpack(changed)
    with pytest.raises(Invalid):
        unpack(data + b"\0")


@pytest.mark.parametrize(
    "header",
    [
        b"[]", b'{"columns":[],"members":[]}', b'{"columns":[["x","C"]],"members":["../etc"]}',
        b'{"columns":[["y","C"]],"members":["0123456789abcdef"]}', b'{"columns":3,"members":["0123456789abcdef"]}',
        b'{"columns":[["x","C"],["x","C"]],"members":["0123456789abcdef"]}',
        b'{"columns":[["x","?"]],"members":["0123456789abcdef"]}', b'{"members":["0123456789abcdef"]}', b"{",
    ],
)  # fmt: skip
def test_headers_that_fit_no_statistics_are_refused(header):
    data = pack(parcel([{"x": 1.0}]))
    size = struct.unpack("<I", data[6:10])[0]

    with pytest.raises(Invalid):
        unpack(data[:6] + struct.pack("<I", len(header)) + header + data[10 + size :])


def test_circles_and_rows_that_would_count_twice_are_found():
    a, b, c = (frozenset({member_of(name)}) for name in "abc")

    assert joined("own", [("x", a), ("y", b | c)]) == a | b | c | {"own"}
    with pytest.raises(CountedTwice, match="y and x"):
        joined("own", [("x", a | b), ("y", b)])
    with pytest.raises(Circle):
        joined(member_of("a"), [("x", b), ("y", a)])


def test_a_chain_grows_until_it_meets_itself_or_is_too_long():
    chain = check_chain((), "a")

    assert check_chain(chain, "b") == ("a", "b")
    with pytest.raises(Circle):
        check_chain(("a", "b"), "a")
    with pytest.raises(Circle, match="deep"):
        check_chain(tuple("abcdefgh"[:MAX_HOPS]), "z")
