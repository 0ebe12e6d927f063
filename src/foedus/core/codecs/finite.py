"""The door check of every update: no NaN and no infinity gets in, for one of them would spoil the whole mean."""

import numpy as np

from foedus.core.arrays import TensorSource
from foedus.core.errors import Invalid

BLOCK_ELEMENTS = 1 << 16


def check_finite(source: TensorSource) -> None:
    """Read every floating-point tensor once, in blocks.

    Raises Invalid with the context ``tensor`` and ``index`` (flat, in C order) of the first value that is not finite.
    """
    for spec in source.layout:
        if not spec.dtype.startswith("float"):
            continue
        for start in range(0, spec.size, BLOCK_ELEMENTS):
            finite = np.isfinite(source.block(spec.name, start, start + BLOCK_ELEMENTS))
            if not finite.all():
                index = start + int(finite.argmin())
                raise Invalid(f"tensor {spec.name!r} is not finite at element {index}", tensor=spec.name, index=index)
