import numpy as np
import pytest
from hypothesis import given
from tests.core.generated import models

from foedus.core.arrays import Arrays
from foedus.core.codecs.finite import BLOCK_ELEMENTS, check_finite
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
