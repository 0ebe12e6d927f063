"""Rounds for tests of strategies."""

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from foedus.core import registry
from foedus.core.arrays import Arrays
from foedus.core.folding import Kind, Update
from foedus.core.strategies.strategy import moment_layout, needs_of

GROUP = "foedus.strategies"
VALUES = st.floats(-100, 100, width=16)


def model(values=(1.0, 2.0), dtype="float64"):
    return Arrays({"w": np.array(values, dtype)})


def update(values, weight=1.0, key="a", kind=Kind.WEIGHTS, **more):
    return Update(key, weight, model(values), kind, **more)


def updates(*values, kind=Kind.WEIGHTS, weight=1.0):
    """One update for each row of values, in the order of their keys."""
    return [update(np.atleast_1d(row), weight, f"{i:03d}", kind) for i, row in enumerate(values)]


WHOLE = st.integers(-100, 100).map(float)


def mixed_models(*, whole=False):
    """Models with a float32 and a float64 tensor, a counter and a mask; ``whole`` values have exact differences."""
    return st.builds(
        lambda a, b, n, on: Arrays({"a": a, "b": b, "n": n, "on": on}),
        hnp.arrays("float32", (2, 2), elements=WHOLE if whole else VALUES),
        hnp.arrays("float64", (), elements=WHOLE if whole else st.floats(-100, 100)),
        hnp.arrays("int32", 2, elements=st.integers(0, 1000)),
        hnp.arrays("bool", 2),
    )


def rounds(name="fedavg", kinds=tuple(Kind), *, whole=False):
    """Rounds that the strategy ``name`` can work on: as large as it needs, with metrics and extras that it wants."""
    least = needs_of(registry.build(GROUP, name, {})).updates
    parts = st.lists(st.tuples(mixed_models(whole=whole), st.floats(0.1, 100)), min_size=least, max_size=least + 3)
    return st.builds(
        lambda parts, kind: [
            equipped(name, Update(str(i), weight, arrays, kind)) for i, (arrays, weight) in enumerate(parts)
        ],
        parts,
        st.sampled_from(kinds),
    )


def equipped(name, plain):
    """``plain`` with whatever the strategy ``name`` needs beside the model; which values does not matter."""
    needs = needs_of(registry.build(GROUP, name, {}))
    layout = moment_layout(plain.source.layout)
    group = Arrays({t.name: np.full(t.shape, plain.weight, t.dtype) for t in layout})
    return replace(
        plain, metrics=dict.fromkeys(needs.metrics, plain.weight), extras=dict.fromkeys(needs.returned, group)
    )
