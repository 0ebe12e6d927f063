"""Models for property tests: every dtype, no, one or several dimensions, empty tensors too."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from foedus.core.arrays import DTYPES, Arrays

NAMES = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1, max_size=8)
SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)


def tensors(dtypes=DTYPES, *, finite=False):
    def of(dtype, shape):
        elements = {"allow_nan": False, "allow_infinity": False} if finite and dtype.startswith("float") else None
        return hnp.arrays(dtype, shape, elements=elements)

    return st.builds(lambda *args: args, st.sampled_from(dtypes), SHAPES).flatmap(lambda args: of(*args))


def models(dtypes=DTYPES, *, finite=False, min_size=0, max_size=4):
    return st.dictionaries(NAMES, tensors(dtypes, finite=finite), min_size=min_size, max_size=max_size).map(Arrays)


def bits(arrays):
    """What must be equal for two models to be the same to the last bit, whatever order their tensors have."""
    return {name: (a.dtype.name, a.shape, np.ascontiguousarray(a).tobytes()) for name, a in arrays.items()}
