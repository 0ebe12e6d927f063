import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.generated import bits, tensors

from foedus.core.arrays import Arrays, Layout, TensorSpec
from foedus.core.codecs import npy
from foedus.core.codecs.limits import Limits
from foedus.core.errors import Invalid, TooLarge

TABLE = np.arange(6, dtype=np.float32).reshape(2, 3)


def saved(array, version=None):
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asanyarray(array), version=version)
    return file.getvalue()


def file(text, values=b"", version=b"\x01\x00"):
    raw = text.encode("latin1")
    length = struct.pack("<H" if version[0] == 1 else "<I", len(raw))
    return b"\x93NUMPY" + version + length + raw + values


def header(descr="'<f4'", order="False", shape="(1,)"):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n"


@given(tensors())
def test_what_is_encoded_comes_back_bit_for_bit(array):
    arrays = Arrays({"weights": array})

    assert bits(npy.decode(npy.encode(arrays))) == bits(arrays)


@given(tensors())
def test_numpy_reads_what_we_write(array):
    data = npy.encode(Arrays({"a": array}))

    theirs = np.load(io.BytesIO(data), allow_pickle=False)

    assert bits({"a": theirs}) == bits({"a": array})
    assert data.index(b"\n") % 64 == 63


@given(tensors(), st.sampled_from([(1, 0), (2, 0), (3, 0)]))
def test_we_read_what_numpy_writes(array, version):
    assert bits(npy.decode(saved(array, version))) == bits({"weights": array})


@given(tensors(("float32", "int16", "uint64")))
def test_big_endian_and_fortran_order_are_put_right(array):
    foreign = np.array(array, array.dtype.newbyteorder(">"), order="F")

    assert bits(npy.decode(saved(foreign))) == bits({"weights": array})


def test_a_layout_gives_the_name_and_is_checked():
    wanted = Layout((TensorSpec("kernel", (2, 3)),))

    assert list(npy.decode(saved(TABLE), layout=wanted)) == ["kernel"]
    with pytest.raises(Invalid, match="'kernel'"):
        npy.decode(saved(TABLE.T.copy()), layout=wanted)
    with pytest.raises(Invalid, match="holds one tensor"):
        npy.decode(saved(TABLE), layout=Layout((*wanted, TensorSpec("bias", (3,)))))


def test_a_file_cut_anywhere_is_refused():
    data = saved(TABLE)

    for length in range(len(data)):
        with pytest.raises(Invalid):
            npy.decode(data[:length])
    with pytest.raises(Invalid):
        npy.decode(data + b"\x00")


@settings(max_examples=300)
@given(st.data())
def test_a_damaged_file_is_read_or_refused_and_never_crashes(data):
    damaged = bytearray(saved(TABLE))
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, 80))] = data.draw(st.integers(0, 255))

    try:
        npy.decode(bytes(damaged))
    except Invalid:
        return


@given(st.text(st.characters(codec="latin1"), max_size=60))
def test_a_header_of_garbage_is_refused(text):
    with pytest.raises(Invalid):
        npy.decode(file(text))


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\x80\x04pickle", "not a .npy file"),
        (file(header(), version=b"\x04\x00"), "version 4.0"),
        (file(header(), version=b"\x01\x07"), "version 1.7"),
        (file(header("'|O'"), bytes(8)), "dtype"),
        (file(header("'<c8'"), bytes(8)), "dtype"),
        (file(header("'<f16'"), bytes(16)), "dtype"),
        (file(header("'f4'"), bytes(4)), "dtype"),
        (file(header("'=f4'"), bytes(4)), "dtype"),
        (file(header("'|f4'"), bytes(4)), "dtype"),
        (file(header("[('a', '<f4')]"), bytes(4)), "plain description"),
        (file(header(order="0"), bytes(4)), "each of its own type"),
        (file(header(shape="(-1,)")), "not a shape"),
        (file(header(shape="(True,)"), bytes(4)), "each of its own type"),
        (file(header(shape="1"), bytes(4)), "each of its own type"),
        (file(header(shape="(4294967296, 4294967296)"), bytes(4)), "larger than any memory"),
        (file(header(shape=f"({'9' * 4000},)"), bytes(4)), "larger than any memory"),
        (file(header(shape="(9**9**9,)"), bytes(4)), "not a Python dictionary"),
        (file("__import__('os').abort()\n"), "plain description|not a Python dictionary"),
        (file("(" * 4000), "plain description"),
        (file("-" * 4000 + "1"), "not a Python dictionary"),
        (file(header("'|b1'"), b"\x02"), "0 or 1"),
        (file(" " * 5000), "characters"),
    ],
)
def test_a_hostile_file_is_refused_by_name(data, text):
    with pytest.raises(Invalid, match=text):
        npy.decode(data)


def test_a_huge_header_is_refused_before_it_is_read():
    with pytest.raises(TooLarge):
        npy.decode(b"\x93NUMPY\x02\x00" + b"\xff" * 4)
    with pytest.raises(TooLarge):
        npy.decode(saved(TABLE), limits=Limits(max_bytes=100))


def test_several_tensors_do_not_fit():
    with pytest.raises(Invalid, match="one tensor"):
        npy.encode(Arrays({"a": TABLE, "b": TABLE}))
