"""Tensors made of tensors, block by block, and where they are put: in memory, unless the caller has a better place.

A result may be larger than memory. Who has files to map gives ``building_in`` a maker of tensors for as long as a
strategy works; strategies need not know. It holds for the thread that asked, and for nobody else.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

from foedus.core.arrays import Arrays, Layout, Tensor, TensorSpec
from foedus.core.errors import Invalid

BLOCK_ELEMENTS = 1 << 16  # two rows of 512 KiB stay in a cache, and a file is not opened too often
Maker = Callable[[Layout], dict[str, Tensor]]


def in_memory(layout: Layout) -> dict[str, Tensor]:
    return {t.name: np.empty(t.shape, t.dtype) for t in layout}


_maker: ContextVar[Maker] = ContextVar("maker", default=in_memory)


@contextmanager
def building_in(maker: Maker) -> Iterator[None]:
    """Results are put where ``maker`` says: tensors of a layout, with any values, to be written into."""
    before = _maker.set(maker)
    try:
        yield
    finally:
        _maker.reset(before)


def empty(layout: Layout) -> dict[str, Tensor]:
    """Tensors to be written into."""
    return _maker.get()(layout)


def each(function: Callable[..., Tensor], first: Arrays, *rest: Arrays) -> Arrays:
    """``function`` of the blocks of every tensor of ``first`` and its namesakes, floats as float64.

    The result has the shapes and dtypes of ``first``. Raises Invalid when a value does not fit its dtype.
    """
    result = empty(first.layout)
    for spec, start, stop in spans(first.layout, BLOCK_ELEMENTS):
        blocks = [_widened(arrays.block(spec.name, start, stop)) for arrays in (first, *rest)]
        with guarded(spec):
            result[spec.name].reshape(-1)[start:stop] = function(*blocks)
    return Arrays(result)


def full_like(arrays: Arrays, value: float, *, least: str = "float32") -> Arrays:
    """Arrays of the same names and shapes filled with ``value``; dtypes are at least as wide as ``least``."""
    wide = (TensorSpec(t.name, t.shape, np.promote_types(t.dtype, least).name) for t in arrays.layout)
    result = empty(Layout(tuple(wide)))
    for tensor in result.values():
        tensor.fill(value)
    return Arrays(result)


def select(arrays: Arrays, only: Callable[[TensorSpec], bool]) -> Arrays:
    """Those of the tensors that pass the test; nothing is copied."""
    return Arrays({t.name: arrays[t.name] for t in arrays.layout if only(t)})


def everything(spec: TensorSpec) -> bool:  # noqa: ARG001 - the widest of the tests for ``only``
    return True


def is_float(spec: TensorSpec) -> bool:
    return spec.dtype.startswith("float")


def is_counter(spec: TensorSpec) -> bool:
    """Whether a tensor holds integers or bools: counts and masks, which no gradient moves."""
    return not is_float(spec)


def spans(layout: Layout, block_elements: int) -> Iterator[tuple[TensorSpec, int, int]]:
    """Every tensor's blocks: the tensor, its first element and the one after its last."""
    for spec in layout:
        for start in range(0, spec.size, block_elements):
            yield spec, start, min(start + block_elements, spec.size)


@contextmanager
def guarded(spec: TensorSpec) -> Iterator[None]:
    """Turns an overflow while working on a tensor into Invalid that names it; NumPy's switch is the thread's own."""
    try:
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            yield
    except FloatingPointError as exc:
        text = f"tensor {spec.name!r}: values are not finite or do not fit {spec.dtype}"
        raise Invalid(text, tensor=spec.name) from exc


def _widened(block: Tensor) -> Tensor:
    return block.astype(np.float64) if block.dtype.kind == "f" else block
