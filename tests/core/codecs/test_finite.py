import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.generated import models

from foedus.core.arrays import Arrays
from foedus.core.codecs.finite import (
    BLOCK_ELEMENTS,
    LARGEST_STEP,
    Extremes,
    check_countable,
    check_finite,
    check_moderate,
)
from foedus.core.errors import Invalid


@given(models(finite=True))
def test_finite_models_pass(arrays):
    check_finite(arrays)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("index", [0, 5, BLOCK_ELEMENTS, BLOCK_ELEMENTS + 9])
def test_the_first_value_that_is_not_finite_is_named(dtype, value, index):
    spoilt = np.zeros(BLOCK_ELEMENTS + 10, dtype)
    spoilt[index:] = value

    with pytest.raises(Invalid) as caught:
        check_finite(Arrays({"fine": np.ones(3), "spoilt": spoilt}))

    assert caught.value.context == {"tensor": "spoilt", "index": index}


@settings(max_examples=20)
@given(models(finite=True))
def test_a_model_is_no_step_from_itself_however_large_it_is(arrays):
    check_moderate(arrays, Extremes.of(arrays))


@pytest.mark.parametrize("dtype", sorted(LARGEST_STEP))
@pytest.mark.parametrize("index", [0, BLOCK_ELEMENTS + 9])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_step_that_strategies_cannot_calculate_with_is_named(dtype, index, sign):
    large = np.array([np.finfo(dtype).max, LARGEST_STEP[dtype]], dtype)
    base = np.ones(BLOCK_ELEMENTS + 10, dtype)
    base[3] = large[0]  # a constant of the model, such as those of masks
    far = base.copy()
    far[index] = sign * large[0]

    with pytest.raises(Invalid, match="too large to be combined") as caught:
        check_moderate(Arrays({"fine": np.ones(3), "w": far}), Extremes.of(Arrays({"fine": np.ones(3), "w": base})))

    assert caught.value.context == {"tensor": "w", "index": index}
    check_moderate(Arrays({"w": large[1:]}))
    with pytest.raises(Invalid, match="not finite at element 1"):
        check_moderate(Arrays({"w": np.array([large[0], np.nan], dtype)}))


@pytest.mark.parametrize("dtype", sorted(LARGEST_STEP))
@pytest.mark.parametrize("index", [3, BLOCK_ELEMENTS + 3])
def test_what_is_small_may_be_far_from_what_it_was(dtype, index):
    base = np.zeros(BLOCK_ELEMENTS + 10, dtype)
    base[index] = np.finfo(dtype).min  # of a mask

    with pytest.raises(Invalid, match="too large to be combined") as caught:
        check_moderate(Arrays({"mask": np.zeros_like(base)}), Extremes.of(Arrays({"mask": base})))

    assert caught.value.context == {"tensor": "mask", "index": index}


def test_a_step_is_counted_from_the_model_also_where_only_what_comes_of_it_is_large():
    base = Extremes.of(Arrays({"w": np.array([1000.0, 0.0], np.float16)}))

    check_moderate(Arrays({"w": np.array([2000.0, 0.0], np.float16)}), base)
    with pytest.raises(Invalid, match=r"a step of about 1.1e\+03 at element 0"):
        check_moderate(Arrays({"w": np.array([2100.0, 0.0], np.float16)}), base)


@settings(max_examples=200)
@given(st.sampled_from(sorted(LARGEST_STEP)), st.floats(-3, 3), st.floats(-3, 3))
def test_whatever_step_is_refused_is_too_large_and_no_other_is_much_larger(dtype, start, end):
    model, update = (np.array([LARGEST_STEP[dtype] * at], dtype) for at in (start, end))
    step = abs(float(update[0]) - float(model[0])) / LARGEST_STEP[dtype]

    try:
        check_moderate(Arrays({"w": update}), Extremes.of(Arrays({"w": model})))
    except Invalid:
        assert step > 1
    else:
        assert step <= 2


@pytest.mark.parametrize(("dtype", "value"), [("int64", 2**53 + 1), ("int64", -(2**60)), ("uint64", 2**63)])
def test_integers_that_have_no_mean_are_named(dtype, value):
    check_countable(Arrays({"n": np.array([2**53], dtype)}))
    with pytest.raises(Invalid, match=f"'n' is {value} at element 1") as caught:
        check_countable(Arrays({"n": np.array([0, value], dtype)}))

    assert caught.value.context == {"tensor": "n", "index": 1}
