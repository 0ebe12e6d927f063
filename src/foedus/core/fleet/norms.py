"""The size of a model as one number, to tell uploads that would drown out all others."""

from math import fsum, sqrt

import numpy as np

from foedus.core.arrays import TensorSource
from foedus.core.errors import Invalid

BLOCK_ELEMENTS = 1 << 16


def norm_of(source: TensorSource) -> float:
    """The Euclidean norm of all values together, in float64, read in blocks."""
    squares = []
    for spec in source.layout:
        for start in range(0, spec.size, BLOCK_ELEMENTS):
            block = source.block(spec.name, start, start + BLOCK_ELEMENTS).astype(np.float64)
            squares.append(float(np.dot(block, block)))
    return sqrt(fsum(squares))


def check_norm(source: TensorSource, bound: float | None) -> None:
    """Raise Invalid when the norm is above ``bound``; None: any norm will do."""
    if bound is not None and (norm := norm_of(source)) > bound:
        raise Invalid(f"the model's norm is {norm:.4g}; at most {bound:g} is allowed", norm=norm, bound=bound)
