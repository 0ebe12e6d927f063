"""Rounds for tests of strategies."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from foedus.core.arrays import Arrays
from foedus.core.folding import Kind, Update

VALUES = st.floats(-100, 100, width=16)


def model(values=(1.0, 2.0), dtype="float64"):
    return Arrays({"w": np.array(values, dtype)})


def update(values, weight=1.0, key="a", kind=Kind.WEIGHTS):
    return Update(key, weight, model(values), kind)


def mixed_models():
    """Models with a float32 and a float64 tensor, a counter and a mask."""
    return st.builds(
        lambda a, b, n, on: Arrays({"a": a, "b": b, "n": n, "on": on}),
        hnp.arrays("float32", (2, 2), elements=VALUES),
        hnp.arrays("float64", (), elements=st.floats(-100, 100)),
        hnp.arrays("int32", 2, elements=st.integers(0, 1000)),
        hnp.arrays("bool", 2),
    )


def rounds():
    parts = st.lists(st.tuples(mixed_models(), st.floats(0.1, 100)), min_size=1, max_size=4)
    return st.builds(
        lambda parts, kind: [Update(str(i), weight, arrays, kind) for i, (arrays, weight) in enumerate(parts)],
        parts,
        st.sampled_from(Kind),
    )
