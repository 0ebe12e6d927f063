"""Updates made smaller: from whole values to the parts of a packed update (see ``packed``)."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

import numpy as np

from foedus.core.arrays import Arrays, Tensor
from foedus.core.codecs.packed import EXTRAS
from foedus.core.errors import Invalid

FEW = 64  # elements; smaller tensors travel plain, since names and scales would outweigh what is saved
_INT8 = 127


@dataclass(frozen=True, slots=True)
class TopK:
    """Of each tensor, the share of elements that change most; what is left out waits for the next rounds.

    Raises: Invalid unless ``fraction`` is above 0 and at most 1.
    Source: Stich et al., "Sparsified SGD with Memory", NeurIPS 2018; Aji and Heafield, 2017.
    """

    fraction: float = 0.01

    def __post_init__(self) -> None:
        if not 0 < self.fraction <= 1:
            raise Invalid(f"fraction must be above 0 and at most 1, not {self.fraction}")


def packed(arrays: Arrays, encoding: str, extras: Mapping[str, Arrays]) -> Arrays:
    """The parts of a packed update; ``encoding`` is plain, float16, bfloat16 or int8.

    Integers, bools and small tensors travel plain. Raises Invalid when values are too large for the encoding.
    """
    parts: dict[str, Tensor] = {}
    for name, array in arrays.items():
        if encoding == "plain" or array.dtype.kind != "f" or array.size < FEW:
            parts[f"plain/{name}"] = array
        elif encoding == "float16":
            with np.errstate(over="ignore"):
                parts[f"plain/{name}"] = _checked(name, array, array.astype(np.float16))
        elif encoding == "bfloat16":
            parts |= _bfloat16(name, array)
        elif encoding == "int8":
            parts |= _int8(name, array)
        else:
            raise Invalid(f"{encoding!r} is not one of the encodings plain, float16, bfloat16, int8 and TopK(...)")
    return Arrays(parts | _extras(extras))


def sparsified(arrays: Arrays, top: TopK, extras: Mapping[str, Arrays]) -> tuple[Arrays, Arrays]:
    """The parts of a packed update of deltas, and what it leaves out: to be added to the next update's."""
    parts: dict[str, Tensor] = {}
    rest: dict[str, Tensor] = {}
    for name, array in arrays.items():
        if array.dtype.kind != "f" or array.size < FEW:
            parts[f"plain/{name}"] = array
            continue
        flat = array.reshape(-1)
        count = ceil(top.fraction * flat.size)
        chosen = np.sort(np.argpartition(np.abs(flat), flat.size - count)[flat.size - count :])
        parts[f"indices/{name}"] = chosen.astype(np.uint32 if flat.size <= 1 << 32 else np.int64)
        parts[f"values/{name}"] = flat[chosen]
        left = flat.copy()
        left[chosen] = 0
        rest[name] = left.reshape(array.shape)
    return Arrays(parts | _extras(extras)), Arrays(rest)


def _extras(extras: Mapping[str, Arrays]) -> dict[str, Tensor]:
    return {f"{EXTRAS}/{group}/{name}": array for group, arrays in extras.items() for name, array in arrays.items()}


def _bfloat16(name: str, array: Tensor) -> dict[str, Tensor]:
    """Rounded half to even. float16 is as narrow already."""
    if array.dtype == np.float16:
        return {f"plain/{name}": array}
    with np.errstate(over="ignore"):
        bits = np.ascontiguousarray(array, np.float32).view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    _checked(name, array, (rounded << 16).view(np.float32))
    return {f"bf16/{name}": rounded.astype(np.uint16).reshape(array.shape)}


def _int8(name: str, array: Tensor) -> dict[str, Tensor]:
    """The largest magnitude, of each row of a tensor with several dimensions, becomes 127."""
    largest: Tensor = np.abs(array).max(axis=tuple(range(1, array.ndim)) if array.ndim > 1 else None)
    scale = np.asarray(largest / _INT8, np.float64 if array.dtype == np.float64 else np.float32)
    columns: Tensor = scale.reshape(scale.shape + (1,) * (array.ndim - scale.ndim))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        steps = np.where(columns > 0, array / columns, 0)
    return {f"int8/{name}": np.clip(np.rint(steps), -_INT8, _INT8).astype(np.int8), f"scale/{name}": scale}


def _checked(name: str, array: Tensor, narrowed: Tensor) -> Tensor:
    if not np.isfinite(narrowed).all():
        largest = float(np.abs(array).max())
        raise Invalid(f"tensor {name!r}: {largest:g} is too large for this encoding", tensor=name)
    return narrowed
