import json
import random
import struct
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.core.statistics.tables import PLANS, ROWS, law, learned

from foedus.core.codecs.limits import Limits
from foedus.core.errors import Invalid, TooLarge
from foedus.core.statistics import Batch, Column, Kind, Plan, Statistics, decode, encode
from foedus.core.statistics.codec import VERSION


@law
@given(ROWS, ROWS, st.sampled_from(PLANS))
@example([{"y": 0.0}], [{"flag": 0}], Plan(targets=("flag",), sketches=True))  # a part without the column of the other
def test_statistics_come_back_to_the_bit(a, b, plan):
    statistics = learned(a, plan).merge(learned(b, plan))

    assert decode(encode(statistics)) == statistics
    assert encode(decode(encode(statistics))) == encode(statistics)


def test_bytes_that_are_cut_or_continued_are_refused():
    data = encode(learned([{"x": 1.0, "flag": 1, "colour": "red", "who": "a"}, {"x": 2.5}], PLANS[0]))

    for size in range(len(data)):
        with pytest.raises(Invalid):
            decode(data[:size])
    with pytest.raises(Invalid, match="followed by 1 bytes more"):
        decode(data + b"\0")


def changed(data, place, value):
    return data[:place] + bytes([value]) + data[place + 1 :]


def test_whatever_one_byte_becomes_is_refused_or_sound():
    """Sound: what is read merges, and is written as it came."""
    rows = [{"x": 1.0, "y": 3.0, "flag": 1, "colour": "red", "who": "a"}, {"x": 2.5, "flag": 0}, {"x": -1.0, "y": 2.0}]
    data = encode(learned(rows, Plan(targets=("flag",))))

    read = 0
    for place in random.Random(1).sample(range(len(data)), 80):
        for value in (0x7F, 0xFF):
            try:
                found = decode(changed(data, place, value))
            except Invalid:
                continue
            read += 1
            assert encode(found) == changed(data, place, value)
            assert found.merge(found).rows == 2 * found.rows

    assert read < 80


FAR = Column("x", Kind.CONTINUOUS, np.array([1.0, 2.0, 4.0, 8.0]))
NEAR = Column("y", Kind.CONTINUOUS, np.array([1.0, 3.0, 2.0, 5.0]))
THIRD = Column("z", Kind.CONTINUOUS, np.array([2.0, 1.0, 1.0, 4.0]))
FLAG = Column("flag", Kind.BINARY, np.array([1.0, 0.0, 1.0, 1.0]))


def forged(**changes):
    """Statistics with some arrays of their moments put wrong, as bytes."""
    honest = Statistics.of(Batch([FAR, NEAR, THIRD, FLAG]), Plan(products=True))
    moments = honest.total.moments
    for name, change in changes.items():
        array = getattr(moments, name).copy()
        change(array)
        moments = replace(moments, **{name: array})
    return encode(replace(honest, total=replace(honest.total, moments=moments)))


def at(place, value):
    def change(array):
        array[place] = value

    return change


def pair(i, j, value):
    def change(array):
        array[i, j] = array[j, i] = value

    return change


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"mean": at((1, 0), np.nan)}, "not finite"),
        ({"spread": at((1, 0), np.inf)}, "as we would write"),
        ({"mean": at((1, 0), 99.0)}, "outside the extremes"),
        ({"spread": at((1, 0), -5.0)}, "as we would write"),
        ({"comoment": pair(1, 2, 1e9)}, "as we would write"),
        ({"comoment": pair(1, 2, -14.0)}, "contradict one another"),
        ({"mean": at((0, 0), 1.5)}, "as we would write"),
        ({"counts": at((0, 0), 200)}, "in more rows than there are"),
        ({"low": at((1, 0), 0.5)}, "more than a rest"),
        ({"fourth": at(0, 1e9)}, "as we would write"),
        ({"product": pair(0, 1, 1e12)}, "as we would write"),
    ],
)
def test_statistics_of_no_rows_at_all_are_refused(changes, text):
    assert decode(forged()).rows == 4

    with pytest.raises(Invalid, match=text):
        decode(forged(**changes))


def rewritten(**changes):
    data = encode(learned([{"x": 1.0, "colour": "red"}], PLANS[0]))
    size = struct.unpack("<I", data[6:10])[0]
    header = json.dumps(json.loads(data[10 : 10 + size]) | changes, separators=(",", ":")).encode()
    return data[:6] + struct.pack("<I", len(header)) + header + data[10 + size :]


@pytest.mark.parametrize(
    "changes",
    [
        {"attributes": [["x", "continuous"], ["colour", "category", ["red"]]]},  # not sorted
        {"attributes": [["colour", "category", []], ["x", "continuous"]]},
        {"attributes": [["colour", "category", ["red"] * 2], ["x", "continuous"]]},
        {"attributes": [["colour", "pickle", ["red"]], ["x", "continuous"]]},
        {"attributes": "x"},
        {"summaries": []},
        {"summaries": [[None, -1, 1, []]]},
        {"summaries": [[None, 1, 10**9, []]]},
        {"summaries": [[None, 2**53, 1, []]]},
        {"summaries": [[None, True, 1, []]]},
        {"summaries": [[None, 1, 1, [[0, 5]]]]},
        {"summaries": [[["colour", "red"], 1, 1, []]]},
        {"plan": {"products": 1, "sketches": False, "targets": []}},
        {"plan": {"products": False, "sketches": False, "targets": ["b", "a"]}},
        {"patients": ["00", 1, 0]},
        {"patients": ["00" * 8, 4097, 0]},
        {"more": 1},
    ],
)
def test_headers_that_we_would_not_write_are_refused(changes):
    assert decode(rewritten()).rows == 1

    with pytest.raises(Invalid):
        decode(rewritten(**changes))


def test_sizes_are_believed_only_as_far_as_there_are_bytes():
    columns = [[f"c{k:05d}", "continuous"] for k in range(5_000)]

    tracemalloc.start()
    with pytest.raises(Invalid, match="cut short"):
        decode(rewritten(attributes=columns, summaries=[[None, 1, 5_000, []]]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 100 << 20


def test_other_versions_and_other_things_are_told_apart():
    data = encode(learned([{"x": 1.0}]))

    with pytest.raises(Invalid, match="version 9 cannot be read"):
        decode(data[:4] + b"\x09\x00" + data[6:])
    with pytest.raises(Invalid, match="do not start with FSTA"):
        decode(b"PK\x03\x04" + data)
    with pytest.raises(TooLarge):
        decode(data, limits=Limits(max_bytes=10))


@pytest.mark.parametrize("path", sorted(Path(__file__).parent.glob("fixtures/v*.bin")), ids=lambda path: path.name)
def test_files_of_every_version_so_far_are_read(path):
    statistics = decode(path.read_bytes())

    v = statistics.view()
    assert statistics.rows == 6
    assert statistics.columns == ("colour$blue", "colour$red", "flag", "late", "x", "y")
    assert statistics.patients.estimate() == 3
    assert v.mean.tolist() == pytest.approx([0.4, 0.6, 0.5, 7.5, 1.25, 30.0])
    assert sorted(statistics.parts) == [("colour", "blue"), ("colour", "red"), ("flag", "0"), ("flag", "1")]
    assert v.sketch(4).n == 6
    if int.from_bytes(path.read_bytes()[4:6], "little") == VERSION:
        assert encode(statistics) == path.read_bytes()
