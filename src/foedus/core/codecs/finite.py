"""The door check of every update: no value gets in that would spoil the whole mean, or keep it from being made.

That is NaN and infinity for any strategy, and integers that float64 would round. Strategies that add up deltas, or
square them, cannot work with steps of absurd size either: these are refused to the one that sends them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Self

import numpy as np

from foedus.core.arrays import Tensor, TensorSource, TensorSpec
from foedus.core.errors import Invalid
from foedus.core.folding import check_exact
from foedus.core.packs import memory_for, packs, reader

BLOCK_ELEMENTS = 1 << 16

# Squares of these, added up for millions of rounds, stay in the dtype of a moment: float32, of a float64 model float64.
# float16 ends at 65,504: there it is a small part of that.
LARGEST_STEP: Mapping[str, float] = {"float16": 1024.0, "float32": 1e15, "float64": 1e120}
_HALF = 0.5


def check_finite(source: TensorSource) -> None:
    """Read every floating-point tensor once, in blocks.

    Raises Invalid with the context ``tensor`` and ``index`` (flat, in C order) of the first value that is not finite.
    """
    if not _all(source, lambda _, part: bool(np.isfinite(part).all())):
        _read(source, _refuse_not_finite)


@dataclass(frozen=True, slots=True)
class Extremes:
    """The blocks of a model, by tensor and start, with values beyond half a ``LARGEST_STEP``: constants, as of masks.

    They are what a step can only be too large from; a model has few of them, if any. All other values are within
    ``within`` of a ``LARGEST_STEP`` from zero.
    """

    blocks: Mapping[tuple[str, int], Tensor]
    within: float = _HALF

    @classmethod
    def of(cls, model: TensorSource) -> Self:
        blocks: dict[tuple[str, int], Tensor] = {}

        def keep(spec: TensorSpec, start: int, block: Tensor) -> None:
            if not _is_moderate(spec.dtype, block, _HALF):
                blocks[spec.name, start] = np.array(block)

        if not _all(model, partial(_is_moderate, share=_HALF)):
            _read(model, keep)
        return cls(blocks)

    @property
    def nbytes(self) -> int:
        return sum(block.nbytes for block in self.blocks.values())


FROM_ZERO = Extremes({}, 0.0)  # of deltas, which are steps themselves


def check_moderate(source: TensorSource, base: Extremes = FROM_ZERO) -> None:
    """``check_finite``, and no value may be further from the model it began from than ``LARGEST_STEP``.

    Of that model only its extremes are known: from anything else, a step is refused that is certainly too large.
    """
    share = 1 + base.within
    if not base.blocks and _all(source, partial(_is_moderate, share=share)):
        return

    def refuse(spec: TensorSpec, start: int, block: Tensor) -> None:
        origin = base.blocks.get((spec.name, start))
        if origin is None and _is_moderate(spec.dtype, block, share):
            return
        _refuse_not_finite(spec, start, block)
        steps = block.astype(np.float64)
        if origin is not None:
            with np.errstate(over="ignore"):
                steps -= origin
        index = int(np.abs(steps).argmax())
        most = LARGEST_STEP[spec.dtype]
        if abs(steps[index]) > (most if origin is not None else share * most):
            raise Invalid(
                f"tensor {spec.name!r}: a step of about {steps[index]:.3g} at element {start + index} is too large to"
                f" be combined by the project's strategy; at most {most:g} is possible in {spec.dtype}",
                tensor=spec.name,
                index=start + index,
            )

    _read(source, refuse)


def check_countable(source: TensorSource) -> None:
    """Raise Invalid, naming tensor and element, for integers beyond 2**53: no mean of these can be made."""
    for spec in source.layout:
        if spec.dtype in ("int64", "uint64"):
            for start in range(0, spec.size, BLOCK_ELEMENTS):
                check_exact(spec, source.block(spec.name, start, start + BLOCK_ELEMENTS), start)


def _all(source: TensorSource, passes: Callable[[str, Tensor], bool]) -> bool:
    """Small tensors are looked at together: to begin takes as long as a thousand numbers."""
    floats = [pack for pack in packs(source.layout, BLOCK_ELEMENTS) if pack.spec.dtype.startswith("float")]
    memory = memory_for(max((pack.size for pack in floats), default=0))
    read = reader(source)
    return all(passes(pack.spec.dtype, part) for pack in floats for part in read(pack, memory) if part.size)


def _read(source: TensorSource, look: Callable[[TensorSpec, int, Tensor], None]) -> None:
    """In the order of the tensors, which packs of one dtype each do not keep."""
    for spec in source.layout:
        if spec.dtype.startswith("float"):
            for start in range(0, spec.size, BLOCK_ELEMENTS):
                look(spec, start, source.block(spec.name, start, start + BLOCK_ELEMENTS))


def _is_moderate(dtype: str, block: Tensor, share: float) -> bool:
    """By the greatest and the least value, which a NaN would be, and so much of a ``LARGEST_STEP``."""
    most = share * LARGEST_STEP[dtype]
    return bool(-most <= block.min() and block.max() <= most)


def _refuse_not_finite(spec: TensorSpec, start: int, block: Tensor) -> None:
    finite = np.isfinite(block)
    if not finite.all():
        index = start + int(finite.argmin())
        raise Invalid(f"tensor {spec.name!r} is not finite at element {index}", tensor=spec.name, index=index)
