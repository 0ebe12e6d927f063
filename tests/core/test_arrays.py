import numpy as np
import pytest
from hypothesis import given
from tests.core.generated import models

from foedus.core.arrays import MAX_NAME_CHARACTERS, MAX_TENSORS, Arrays, Layout, TensorSpec
from foedus.core.errors import Invalid


def layout(*tensors):
    return Layout(tuple(TensorSpec(*tensor) for tensor in tensors))


@given(models())
def test_a_layout_comes_back_from_json(arrays):
    again = Layout.from_json(arrays.layout.to_json())

    assert again == arrays.layout
    assert again.fingerprint == arrays.layout.fingerprint


def test_the_fingerprint_sees_names_shapes_dtypes_and_order():
    a, b = ("a", (2, 3), "float32"), ("b", (3,), "float32")
    others = [layout(b, a), layout(a), layout(("a", (3, 2), "float32"), b), layout(("a", (2, 3), "float64"), b)]

    assert len({layout(a, b).fingerprint, *(other.fingerprint for other in others)}) == 5


@pytest.mark.parametrize(
    ("other", "text"),
    [
        (layout(("a", (2,))), "'b' is missing"),
        (layout(("a", (2,)), ("b", (3,)), ("c", (1,))), "'c' is not part"),
        (layout(("a", (2,)), ("b", (4,))), "'b'.*float32.*3.*float32.*4"),
        (layout(("a", (2,)), ("b", (3,), "float64")), "'b'.*float32.*float64"),
    ],
)
def test_the_first_difference_between_layouts_is_named(other, text):
    with pytest.raises(Invalid, match=text):
        layout(("a", (2,)), ("b", (3,))).check(other)


def test_layouts_fit_in_any_order_of_tensors():
    layout(("a", (2,)), ("b", (3,))).check(layout(("b", (3,)), ("a", (2,))))


@pytest.mark.parametrize(
    "tensor",
    [
        ("", (1,)),
        ("line\nbreak", (1,)),
        ("\ud800", (1,)),
        ("x" * (MAX_NAME_CHARACTERS + 1), (1,)),
        ("a", (-1,)),
        ("a", (1,) * 33),
        ("a", (2**40, 2**40)),
        ("a", (0, 2**63)),
        ("a", (1,), "complex64"),
        ("a", (1,), "object"),
    ],
)
def test_a_tensor_that_cannot_be_is_refused(tensor):
    with pytest.raises(Invalid):
        TensorSpec(*tensor)


def test_names_are_unique_and_not_too_many():
    with pytest.raises(Invalid, match="twice"):
        layout(("a", (1,)), ("a", (1,)))
    with pytest.raises(Invalid, match=str(MAX_TENSORS)):
        Layout((TensorSpec("a", ()),) * (MAX_TENSORS + 1))


@pytest.mark.parametrize("value", [None, {}, [1], [{"name": "a"}], [{"name": "a", "shape": [1.5]}], [{"shape": [1]}]])
def test_json_that_is_no_layout_is_refused(value):
    with pytest.raises(Invalid):
        Layout.from_json(value)


def test_sizes_count_elements_and_bytes():
    sizes = layout(("a", (2, 3), "float64"), ("b", (), "int8"), ("c", (0, 5)))

    assert (sizes.size, sizes.nbytes) == (7, 49)


def test_blocks_are_cut_from_c_order_whatever_order_came_in():
    table = np.arange(6, dtype=np.float32).reshape(2, 3)
    arrays = Arrays({"fortran": np.asfortranarray(table), "strided": np.arange(12.0)[::2], "scalar": np.float32(7)})

    assert arrays.block("fortran", 1, 4).tolist() == [1, 2, 3]
    assert arrays.block("strided", 1, 3).tolist() == [2, 4]
    assert arrays.block("scalar", 0, 1).tolist() == [7]
    assert arrays["scalar"].shape == ()
    assert np.shares_memory(arrays.block("fortran", 0, 6), arrays["fortran"])


def test_foreign_byte_order_is_put_right():
    arrays = Arrays({"a": np.array([1.5, -2], ">f4")})

    assert arrays.layout["a"].dtype == "float32"
    assert arrays["a"].tobytes() == np.array([1.5, -2], "=f4").tobytes()


def test_arrays_that_are_not_numbers_are_refused():
    with pytest.raises(Invalid, match="dtype"):
        Arrays({"a": np.array([object()])})
