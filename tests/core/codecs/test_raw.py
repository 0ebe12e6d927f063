import numpy as np
import pytest
from hypothesis import given
from tests.core.generated import bits, models

from foedus.core.arrays import Arrays, Layout, TensorSpec
from foedus.core.codecs import raw
from foedus.core.codecs.limits import Limits
from foedus.core.errors import Invalid, TooLarge

HEAD = Layout((TensorSpec("kernel", (3, 2)), TensorSpec("bias", (2,))))


@given(models(("float32",)))
def test_what_is_encoded_comes_back_bit_for_bit(arrays):
    assert bits(raw.decode(raw.encode(arrays), layout=arrays.layout)) == bits(arrays)


def test_values_follow_each_other_in_the_order_of_the_layout():
    arrays = raw.decode(np.arange(8, dtype="<f4").tobytes(), layout=HEAD)

    assert arrays["kernel"].tolist() == [[0, 1], [2, 3], [4, 5]]
    assert arrays["bias"].tolist() == [6, 7]


@pytest.mark.parametrize("size", [0, 31, 33, 36])
def test_a_wrong_size_is_refused_with_the_right_one(size):
    with pytest.raises(Invalid, match=f"expected 32 bytes.*found {size}"):
        raw.decode(bytes(size), layout=HEAD)


def test_a_layout_is_needed():
    with pytest.raises(Invalid, match="layout"):
        raw.decode(bytes(4), layout=None)


def test_other_dtypes_are_refused_by_name():
    counts = Arrays({"n": np.zeros(1, np.int32)})

    with pytest.raises(Invalid, match="'n' is int32"):
        raw.encode(counts)
    with pytest.raises(Invalid, match="'n' is int32"):
        raw.decode(bytes(4), layout=counts.layout)


def test_limits_hold():
    for limits in (Limits(max_bytes=31), Limits(max_tensors=1)):
        with pytest.raises(TooLarge):
            raw.decode(bytes(32), layout=HEAD, limits=limits)


def test_blocks_of_a_file_are_those_of_the_arrays(tmp_path):
    path = tmp_path / "weights.bin"
    path.write_bytes(np.arange(8, dtype="<f4").tobytes())

    with raw.open_source(path, layout=HEAD) as source:
        assert source.block("kernel", 1, 3).tolist() == [1, 2]
        assert source.block("bias", 0, 2).tolist() == [6, 7]
