"""Forms of one tensor in a packed update, each decoded into the model's dtype block by block."""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np

from foedus.core.arrays import Tensor, TensorSource, TensorSpec
from foedus.core.errors import Invalid

CHUNK_ELEMENTS = 1 << 15
INDICES = ("int32", "int64", "uint32", "uint64")
SCALES = ("float32", "float64")
Block = Callable[[int, int], Tensor]


@dataclass(frozen=True, slots=True)
class Form:
    """``block(start, stop)`` gives these elements of the tensor ``spec``, flat, in its dtype."""

    spec: TensorSpec
    block: Block


def dense(file: TensorSource, found: TensorSpec, spec: TensorSpec) -> Form:
    """Every value; of floats also in a narrower dtype than the model's, which loses nothing by widening."""
    _check_shape(found, spec)
    if found.dtype == spec.dtype:
        return Form(spec, lambda start, stop: file.block(found.name, start, stop))
    _check_narrower(found, spec)
    return Form(spec, lambda start, stop: file.block(found.name, start, stop).astype(spec.dtype))


def bfloat16(file: TensorSource, found: TensorSpec, spec: TensorSpec) -> Form:
    """float32 without its lower sixteen bits."""
    _check_shape(found, spec)
    _check_floats(spec)
    if found.dtype != "uint16":
        raise Invalid(f"tensor {found.name!r} must be U16, the upper halves of float32", tensor=spec.name)

    def block(start: int, stop: int) -> Tensor:
        bits = file.block(found.name, start, stop).astype(np.uint32) << 16
        return _cast(bits.view(np.float32), spec)

    return Form(spec, block)


def quantised(file: TensorSource, found: TensorSpec, scale: TensorSpec, spec: TensorSpec) -> Form:
    """int8 times a scale: one for the whole tensor, or one for each row of its first dimension."""
    _check_shape(found, spec)
    _check_floats(spec)
    if found.dtype != "int8" or scale.dtype not in SCALES:
        raise Invalid(f"tensor {spec.name!r}: int8 values have scales of {' or '.join(SCALES)}", tensor=spec.name)
    if scale.shape not in ((), spec.shape[:1]):
        text = f"tensor {spec.name!r}: its scale has shape {list(scale.shape)}, not [] or {list(spec.shape[:1])}"
        raise Invalid(text, tensor=spec.name)
    row = prod(spec.shape[1:]) if scale.shape else max(1, spec.size)  # elements that share a scale
    wide = np.promote_types(spec.dtype, np.float32)

    def block(start: int, stop: int) -> Tensor:
        values = file.block(found.name, start, stop).astype(wide)
        if not len(values):
            return values.astype(spec.dtype)
        first, end = start // row, (stop - 1) // row + 1
        scales = file.block(scale.name, first, end).astype(wide)
        if scales.size and not (np.isfinite(scales).all() and scales.min() >= 0):
            raise Invalid(f"tensor {spec.name!r}: a scale must be a finite number from 0", tensor=spec.name)
        if end - first > 1:
            scales = np.repeat(scales, row)[start - first * row : stop - first * row]
        with np.errstate(over="ignore"):  # what becomes infinite is refused as such
            values *= scales
        return _cast(values, spec)

    return Form(spec, block)


def sparse(file: TensorSource, indices: TensorSpec, values: TensorSpec, spec: TensorSpec) -> Form:
    """Zero but for ``values`` at flat ``indices``. These are read once to see that they ascend and stay inside."""
    _check_floats(spec)
    if indices.dtype not in INDICES or len(indices.shape) != 1 or values.shape != indices.shape:
        text = f"tensor {spec.name!r}: as many indices (integers) as values are needed, each in one dimension"
        raise Invalid(text, tensor=spec.name)
    if values.dtype != spec.dtype:
        _check_narrower(values, spec)
    starts = _starts(file, indices, spec)

    def block(start: int, stop: int) -> Tensor:
        result = np.zeros(stop - start, spec.dtype)
        low, high = int(starts[start // CHUNK_ELEMENTS]), int(starts[-(-stop // CHUNK_ELEMENTS)])
        if low < high and start < stop:
            where = file.block(indices.name, low, high).astype(np.int64)
            first, end = np.searchsorted(where, (start, stop))
            result[where[first:end] - start] = file.block(values.name, low + int(first), low + int(end))
        return result

    return Form(spec, block)


def _starts(file: TensorSource, indices: TensorSpec, spec: TensorSpec) -> Tensor:
    """Where in the indices each chunk of the tensor begins, and where they end: (chunks + 1,)."""
    borders = np.arange(0, spec.size + CHUNK_ELEMENTS, CHUNK_ELEMENTS, dtype=np.int64)
    starts = np.zeros(len(borders), np.int64)
    latest = -1
    for at in range(0, indices.size, CHUNK_ELEMENTS):
        found = file.block(indices.name, at, at + CHUNK_ELEMENTS)
        if int(found.max()) >= spec.size or int(found.min()) < 0:
            text = f"tensor {spec.name!r}: an index lies outside of its {spec.size} elements"
            raise Invalid(text, tensor=spec.name)
        where = found.astype(np.int64)
        if int(where[0]) <= latest or (np.diff(where) <= 0).any():
            raise Invalid(f"tensor {spec.name!r}: indices must ascend, none twice", tensor=spec.name)
        latest = int(where[-1])
        starts += np.searchsorted(where, borders)
    return starts


def _check_shape(found: TensorSpec, spec: TensorSpec) -> None:
    if found.shape != spec.shape:
        text = f"tensor {spec.name!r}: expected shape {list(spec.shape)}, found {list(found.shape)}"
        raise Invalid(text, tensor=spec.name)


def _check_floats(spec: TensorSpec) -> None:
    if not spec.dtype.startswith("float"):
        raise Invalid(f"tensor {spec.name!r} holds {spec.dtype}, which travels plain only", tensor=spec.name)


def _check_narrower(found: TensorSpec, spec: TensorSpec) -> None:
    floats = found.dtype.startswith("float") and spec.dtype.startswith("float")
    if not floats or np.dtype(found.dtype).itemsize > np.dtype(spec.dtype).itemsize:
        text = f"tensor {spec.name!r}: {found.dtype} cannot stand for {spec.dtype}"
        raise Invalid(text, tensor=spec.name)


def _cast(values: Tensor, spec: TensorSpec) -> Tensor:
    with np.errstate(over="ignore", invalid="ignore"):
        return values.astype(spec.dtype, copy=False)
