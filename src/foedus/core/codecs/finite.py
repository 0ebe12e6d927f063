"""The door check of every update: no NaN and no infinity gets in, for one of them would spoil the whole mean."""

import numpy as np

from foedus.core.arrays import Tensor, TensorSource
from foedus.core.errors import Invalid
from foedus.core.packs import memory_for, packs, reader

BLOCK_ELEMENTS = 1 << 16


def check_finite(source: TensorSource) -> None:
    """Read every floating-point tensor once, in blocks.

    Raises Invalid with the context ``tensor`` and ``index`` (flat, in C order) of the first value that is not finite.
    """
    if not _all_finite(source):
        _refuse_first(source)


def _all_finite(source: TensorSource) -> bool:
    """Small tensors are looked at together: to begin takes as long as a thousand numbers."""
    floats = [pack for pack in packs(source.layout, BLOCK_ELEMENTS) if pack.spec.dtype.startswith("float")]
    memory = memory_for(max((pack.size for pack in floats), default=0))
    read = reader(source)
    return all(np.isfinite(part).all() for pack in floats for part in read(pack, memory))


def _refuse_first(source: TensorSource) -> None:
    """In the order of the tensors, which packs of one dtype each do not keep."""
    for spec in source.layout:
        if not spec.dtype.startswith("float"):
            continue
        for start in range(0, spec.size, BLOCK_ELEMENTS):
            block = source.block(spec.name, start, start + BLOCK_ELEMENTS)
            if not _is_finite(block):
                index = start + int(np.isfinite(block).argmin())
                raise Invalid(f"tensor {spec.name!r} is not finite at element {index}", tensor=spec.name, index=index)


def _is_finite(block: Tensor) -> bool:
    """By the greatest and the least value, which a NaN would be: a fifth of the time of looking at every one."""
    with np.errstate(invalid="ignore"):
        return bool(np.isfinite(block.max()) and np.isfinite(block.min()))
