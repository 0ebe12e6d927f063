import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from foedus.core.arrays import Arrays
from foedus.core.errors import Invalid
from foedus.sdk.weights import delta, fitted

LAYOUT = Arrays({"w": np.zeros((2, 2), np.float32), "n": np.zeros((), np.int64)}).layout
W = np.ones((2, 2), np.float32)


def test_weights_come_out_in_the_order_of_the_model():
    result = fitted({"n": np.int64(3), "w": W}, LAYOUT)

    assert result.layout == LAYOUT
    assert result["n"] == 3


def test_wider_floats_are_rounded_to_the_dtype_of_the_model():
    result = fitted({"w": np.full((2, 2), 0.1), "n": 3}, LAYOUT)

    assert result["w"].dtype == np.float32
    assert result["w"][0, 0] == np.float32(0.1)


@pytest.mark.parametrize("number", [3.0, True, np.uint8(3)])
def test_another_dtype_is_taken_where_it_changes_no_value(number):
    assert fitted({"w": W, "n": number}, LAYOUT)["n"] == int(number)


@pytest.mark.parametrize("number", [3.5, np.nan, 1e30, np.uint64(2**64 - 1)])
def test_another_dtype_is_refused_where_it_would_change_a_value(number):
    with pytest.raises(Invalid, match="'n'"):
        fitted({"w": W, "n": number}, LAYOUT)


def test_a_negative_number_does_not_become_a_large_unsigned_one():
    layout = Arrays({"n": np.zeros(1, np.uint8)}).layout

    with pytest.raises(Invalid, match="does not fit"):
        fitted({"n": np.array([-1], np.int8)}, layout)


def test_a_large_integer_does_not_lose_digits_in_a_float():
    layout = Arrays({"x": np.zeros(1, np.float64)}).layout

    with pytest.raises(Invalid, match="does not fit"):
        fitted({"x": np.array([2**53 + 1])}, layout)


@pytest.mark.parametrize(
    ("weights", "text"),
    [
        ({"w": W}, "'n' is missing"),
        ({"w": W, "n": 1, "v": W}, "'v' is not part of the model, which has 'n', 'w'"),
        ({"w": W.ravel(), "n": 1}, r"'w' has shape \[4\], the model's has \[2, 2\]"),
        ({"w": np.full((2, 2), "x"), "n": 1}, "'w' holds"),
        ({"w": np.full((2, 2), None), "n": 1}, "'w' holds object"),
        ({"w": W * np.nan, "n": 1}, "'w' is not finite"),
        ({"w": np.full((2, 2), 1e300), "n": 1}, "'w' is not finite"),
        ([W], "list"),
    ],
)
def test_what_does_not_fit_the_model_is_refused_by_the_name_of_its_tensor(weights, text):
    with pytest.raises(Invalid, match=text):
        fitted(weights, LAYOUT)


@given(
    arrays(np.int8, 4), arrays(np.int8, 4), arrays(np.float32, 4, elements=st.floats(-1e3, 1e3, width=32))
)  # fmt: skip
def test_a_delta_added_to_its_base_gives_the_weights_again(new, base, floats):
    model = {"i": base, "f": np.ones(4, np.float32)}

    result = delta(Arrays({"i": new, "f": floats}), model)

    assert np.array_equal(model["i"] + result["i"], new)
    assert np.allclose(model["f"] + result["f"], floats, atol=1e-4)  # float32 has 24 bits, weights reach 1e3


def test_a_delta_too_wide_for_its_dtype_is_refused():
    with pytest.raises(Invalid, match="too far"):
        delta(Arrays({"x": np.array([3e38], np.float32)}), {"x": np.array([-3e38], np.float32)})


def test_a_truth_value_must_not_change_where_deltas_travel():
    base = {"mask": np.array([True, False])}

    unchanged = delta(Arrays(base), base)

    assert not unchanged["mask"].any()
    with pytest.raises(Invalid, match="'mask' is bool and has changed"):
        delta(Arrays({"mask": np.array([True, True])}), base)
