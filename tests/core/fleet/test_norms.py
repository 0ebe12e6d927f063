"""The norm of a model."""

import numpy as np
import pytest

from foedus.core.arrays import Arrays
from foedus.core.errors import Invalid
from foedus.core.fleet.norms import check_norm, norm_of


def test_the_norm_is_taken_over_all_tensors_together():
    model = Arrays({"a": np.full((100_000,), 0.03, np.float32), "b": np.array([4.0], np.float32)})

    assert norm_of(model) == pytest.approx(np.sqrt(100_000 * 0.03**2 + 16), rel=1e-6)


def test_a_bound_is_kept_to_the_letter():
    model = Arrays({"a": np.array([3.0, 4.0], np.float32)})

    check_norm(model, 5.0)
    check_norm(model, None)
    with pytest.raises(Invalid, match=r"norm is 5; at most 4\.99"):
        check_norm(model, 4.99)
