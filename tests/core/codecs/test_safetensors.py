import json
import struct

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.generated import bits, models

from foedus.core.arrays import Arrays, Layout, TensorSpec
from foedus.core.codecs import safetensors as codec
from foedus.core.codecs.limits import Limits
from foedus.core.errors import Conflict, Invalid, TooLarge

SMALL = Arrays({"w": np.arange(6, dtype=np.float32).reshape(2, 3), "on": np.array([True, False]), "n": np.int64(7)})


def file(header, values=b"", *, length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + values


def entry(begin, end, shape=None, dtype="F32"):
    return {"dtype": dtype, "shape": [(end - begin) // 4] if shape is None else shape, "data_offsets": [begin, end]}


@given(models())
def test_what_is_encoded_comes_back_bit_for_bit(arrays):
    again = codec.decode(codec.encode(arrays), layout=arrays.layout)

    assert bits(again) == bits(arrays)
    assert set(again.layout) == set(arrays.layout)


@given(models())
def test_the_safetensors_package_reads_what_we_write(arrays):
    theirs = safetensors.numpy.load(codec.encode(arrays))

    assert bits(theirs) == bits(arrays)


@given(models())
def test_we_read_what_the_safetensors_package_writes(arrays):
    data = safetensors.numpy.save(dict(arrays), metadata={"by": "them"})

    assert bits(codec.decode(data, layout=arrays.layout)) == bits(arrays)
    assert len(data) <= codec.size_bytes(arrays.layout)


def test_metadata_stays_out_of_the_way():
    data = codec.encode(SMALL, {"round": "3"})

    assert codec.read_header(data, len(data)).metadata == {"round": "3"}
    assert bits(codec.decode(data)) == bits(SMALL)


def test_a_file_cut_anywhere_is_refused():
    data = codec.encode(SMALL)

    for length in range(len(data)):
        with pytest.raises(Invalid):
            codec.decode(data[:length])
    with pytest.raises(Invalid):
        codec.decode(data + b"\x00")


@settings(max_examples=300)
@given(st.data())
def test_a_damaged_file_is_read_or_refused_and_never_crashes(data):
    damaged = bytearray(codec.encode(SMALL))
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))

    try:
        codec.decode(bytes(damaged))
    except Invalid:
        return


@given(st.binary(max_size=200))
def test_garbage_is_refused(garbage):
    with pytest.raises(Invalid):
        codec.decode(file(garbage))


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (file({}, length=2**63), "this is not a safetensors file"),
        (file({}, length=3), "longer than the file"),
        (file({"a": entry(0, 8), "b": entry(4, 12)}, bytes(12)), "'b' starts at byte 4"),
        (file({"a": entry(0, 4), "b": entry(8, 12)}, bytes(12)), "'b' starts at byte 8"),
        (file({"a": entry(4, 8)}, bytes(8)), "'a' starts at byte 4"),
        (file({"a": entry(0, 4)}, bytes(5)), "the file has"),
        (file({"a": entry(0, 8)}, bytes(4)), "the file has"),
        (file({"a": entry(4, 0, [1])}, bytes(4)), "takes 4 bytes"),
        (file({"a": entry(0, 4, [2])}, bytes(4)), "takes 8 bytes"),
        (file({"a": entry(0, 4, [-1])}, bytes(4)), "not a shape"),
        (file({"a": entry(0, 0, [0, 2**70])}), "larger than any memory"),
        (file({"a": entry(0, 4, [2**32, 2**32 + 1])}, bytes(4)), "larger than any memory"),
        (file({"a": entry(0, 4, [1.0])}, bytes(4)), "each of its own type"),
        (file({"a": entry(0, 4, [True])}, bytes(4)), "each of its own type"),
        (file({"a": entry(0, 4) | {"more": 1}}, bytes(4)), "each of its own type"),
        (file({"a": [1]}), "each of its own type"),
        (file({"a": entry(0, 2, [1], "BF16")}, bytes(2)), "BF16.*convert"),
        (file({"a": entry(0, 1, [1], "F8_E4M3")}, bytes(1)), "not one of"),
        (file({"a": entry(0, 1, [1], "BOOL")}, b"\x02"), "stored as 0 or 1"),
        (file(b'{"a":{"dtype":"I8","shape":[],"data_offsets":[0,1]},"a":{}}', bytes(1)), "twice"),
        (file({"__metadata__": {"a": 1}}), "maps text to text"),
        (file({"__metadata__": "a"}), "maps text to text"),
        (file(b'{"a":' + b"[" * 9_000 + b"]" * 9_000 + b"}"), "nested"),
        (file(b'{"a":NaN}'), "NaN"),
        (file(b'{"a":' + b"9" * 5_000 + b"}"), "not valid JSON"),
        (file(b'{"\\ud800":{"dtype":"I8","shape":[0],"data_offsets":[0,0]}}'), "printable"),
        (file(b" {}"), "starts with"),
        (file(b"{}\xff"), "not valid JSON"),
    ],
)
def test_a_hostile_header_is_refused_by_name(data, text):
    with pytest.raises(Invalid, match=text):
        codec.decode(data)


def test_the_order_of_the_header_is_free():
    values = np.array([1, 2], "<f4").tobytes()

    arrays = codec.decode(file({"second": entry(4, 8), "first": entry(0, 4)}, values))

    assert list(arrays) == ["first", "second"]
    assert arrays["second"].tolist() == [2]


def test_another_layout_is_refused_naming_the_tensor():
    with pytest.raises(Invalid, match="'w'"):
        codec.decode(codec.encode(SMALL), layout=Layout((TensorSpec("w", (3, 2)),)))


def test_limits_hold_before_anything_is_read():
    data = codec.encode(SMALL)

    for limits in (Limits(max_bytes=len(data) - 1), Limits(max_header_bytes=8), Limits(max_tensors=2)):
        with pytest.raises(TooLarge):
            codec.decode(data, limits=limits)


def test_the_header_can_be_read_from_the_first_bytes_alone():
    data = codec.encode(SMALL)

    length = codec.header_bytes(data[:8], len(data))
    header = codec.read_header(data[:length], len(data))

    assert header.layout == SMALL.layout
    assert header.offsets["w"] == length
    with pytest.raises(Invalid, match="needs the first"):
        codec.read_header(data[: length - 1], len(data))


def test_no_file_of_a_layout_is_longer_than_its_bound():
    layout = Layout(tuple(TensorSpec("😀é" * 100 + str(i), (1, 2)) for i in range(50)))
    arrays = Arrays({t.name: np.zeros(t.shape, t.dtype) for t in layout})
    header = {t.name: entry(8 * i, 8 * i + 8, [1, 2]) for i, t in enumerate(layout)}
    wide = file(json.dumps(header, indent=1, ensure_ascii=True).encode(), bytes(400))

    assert bits(codec.decode(wide)) == bits(arrays)
    assert len(wide) <= codec.size_bytes(layout)
    assert len(codec.encode(arrays)) <= codec.size_bytes(layout)


def test_a_name_that_the_format_keeps_for_itself_is_refused():
    with pytest.raises(Invalid, match="__metadata__"):
        codec.encode(Arrays({"__metadata__": np.zeros(1)}))


@given(models(min_size=1), st.integers(0, 5), st.integers(0, 70))
def test_blocks_of_a_buffer_are_those_of_the_arrays(arrays, start, stop):
    with codec.open_source(codec.encode(arrays)) as source:
        for name in arrays:
            assert source.block(name, start, stop).tobytes() == arrays.block(name, start, stop).tobytes()


def test_values_at_odd_places_are_handed_over_aligned():
    odd = Arrays({"on": np.array([True]), "w": np.arange(3, dtype=np.float64)})

    block = codec.open_source(codec.encode(odd)).block("w", 0, 3)

    assert block.flags.aligned
    assert block.tolist() == [0, 1, 2]


def test_blocks_of_a_file_are_those_of_the_arrays(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(codec.encode(SMALL))

    with codec.open_source(path, layout=SMALL.layout) as source:
        assert source.block("w", 2, 5).tolist() == [2, 3, 4]
        assert source.block("w", 4, 99).tolist() == [4, 5]
        assert source.block("w", 9, 99).size == 0
        assert bits(source.arrays()) == bits(SMALL)


def test_a_file_that_changes_while_it_is_read_is_noticed(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(codec.encode(SMALL))
    source = codec.open_source(path)

    path.write_bytes(codec.encode(SMALL)[:-1])

    with pytest.raises(Conflict, match="replaced"):
        source.block("w", 0, 1)


def test_a_thousand_open_sources_hold_no_descriptors(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(codec.encode(SMALL))

    sources = [codec.open_source(path) for _ in range(3_000)]

    assert sum(int(source.block("n", 0, 1)[0]) for source in sources) == 21_000


def test_big_tensors_leave_in_chunks():
    arrays = Arrays({"w": np.arange(1_000_000, dtype=np.float64)})

    chunks = list(codec.chunks(arrays))

    assert max(map(len, chunks)) <= codec.CHUNK_BYTES
    assert b"".join(chunks) == codec.encode(arrays)
    assert bits(codec.decode(b"".join(chunks))) == bits(arrays)
