"""A model is named tensors in a fixed order: its layout, and its values.

Sources of tensors are read in blocks, so that a model need never be in memory as a whole.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from math import prod
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from foedus.core.errors import Invalid

Tensor = NDArray[Any]

DTYPES = (
    "bool",
    "int8",
    "uint8",
    "int16",
    "uint16",
    "int32",
    "uint32",
    "int64",
    "uint64",
    "float16",
    "float32",
    "float64",
)
MAX_TENSORS = 100_000
MAX_DIMENSIONS = 32
MAX_NAME_CHARACTERS = 512
MAX_TENSOR_BYTES = 1 << 62  # even of one that a zero in its shape makes empty: NumPy multiplies the other sizes


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One tensor's name, shape (sizes of its dimensions, outermost first) and dtype (a NumPy name)."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"

    def __post_init__(self) -> None:
        if not self.name or len(self.name) > MAX_NAME_CHARACTERS or not self.name.isprintable():
            raise Invalid(
                f"a tensor's name must be 1 to {MAX_NAME_CHARACTERS} printable characters", tensor=self.name[:80]
            )
        if self.dtype not in DTYPES:
            raise Invalid(f"tensor {self.name!r}: dtype {self.dtype!r} is not one of {', '.join(DTYPES)}")
        if len(self.shape) > MAX_DIMENSIONS or any(n < 0 for n in self.shape):
            raise Invalid(f"tensor {self.name!r}: {self.shape} is not a shape")
        if prod(n for n in self.shape if n) * np.dtype(self.dtype).itemsize > MAX_TENSOR_BYTES:
            raise Invalid(f"tensor {self.name!r}: its shape is larger than any memory", tensor=self.name)

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Number of bytes its values take, without padding."""
        return self.size * np.dtype(self.dtype).itemsize


@dataclass(frozen=True, slots=True)
class Layout:
    """The tensors of a model in order; two models fit together when their layouts are equal."""

    tensors: tuple[TensorSpec, ...]

    def __post_init__(self) -> None:
        if len(self.tensors) > MAX_TENSORS:
            raise Invalid(f"a model may have {MAX_TENSORS} tensors, this one has {len(self.tensors)}")
        seen: set[str] = set()
        for tensor in self.tensors:
            if tensor.name in seen:
                raise Invalid(f"tensor {tensor.name!r} is named twice")
            seen.add(tensor.name)

    @classmethod
    def of(cls, arrays: Mapping[str, Tensor]) -> Self:
        return cls(tuple(TensorSpec(name, tuple(a.shape), a.dtype.name) for name, a in arrays.items()))

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """The layout in a decoded JSON list of ``{name, shape, dtype}``; raises Invalid for anything else."""
        if not isinstance(value, list):
            raise Invalid("a layout is a list of tensors, each with name, shape and dtype")
        return cls(tuple(_spec(entry) for entry in value))

    def to_json(self) -> list[dict[str, Any]]:
        return [{"name": t.name, "shape": list(t.shape), "dtype": t.dtype} for t in self.tensors]

    @property
    def size(self) -> int:
        """Number of elements of all tensors."""
        return sum(t.size for t in self.tensors)

    @property
    def nbytes(self) -> int:
        """Number of bytes of all values, without padding."""
        return sum(t.nbytes for t in self.tensors)

    @property
    def fingerprint(self) -> str:
        """A SHA-256 (hex) that is equal exactly for equal layouts."""
        return hashlib.sha256(json.dumps(self.to_json(), separators=(",", ":")).encode()).hexdigest()

    def __iter__(self) -> Iterator[TensorSpec]:
        return iter(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)

    def __getitem__(self, name: str) -> TensorSpec:
        for tensor in self.tensors:
            if tensor.name == name:
                return tensor
        raise KeyError(name)

    def check(self, other: "Layout") -> None:
        """Raise Invalid, naming the first tensor that differs, unless ``other`` has the same tensors.

        Their order is free: some writers of safetensors sort them.
        """
        if other.tensors == self.tensors:
            return
        ours = {t.name: t for t in self.tensors}
        for found in other.tensors:
            wanted = ours.pop(found.name, None)
            if wanted is None:
                raise Invalid(f"tensor {found.name!r} is not part of the model", tensor=found.name)
            if found != wanted:
                raise Invalid(
                    f"tensor {found.name!r}: expected {wanted.dtype}{list(wanted.shape)}, "
                    f"found {found.dtype}{list(found.shape)}",
                    tensor=found.name,
                )
        if ours:
            missing = next(iter(ours))
            raise Invalid(f"tensor {missing!r} is missing", tensor=missing)


class TensorSource(Protocol):
    """Tensors that can be read in blocks: from memory, a file, or a mapped file."""

    @property
    def layout(self) -> Layout: ...

    def block(self, name: str, start: int, stop: int) -> Tensor:
        """Elements ``start`` to ``stop`` of a tensor, flattened in C order. Read-only for the caller."""
        ...


class Arrays(Mapping[str, Tensor]):
    """Named tensors in memory (or mapped into it), in order. Also a ``TensorSource``. Values are not to be changed.

    Foreign byte order and layouts other than C order are put right on the way in.
    """

    __slots__ = ("_arrays", "layout")

    def __init__(self, arrays: Mapping[str, Tensor]) -> None:
        self._arrays = {name: _plain(a) for name, a in arrays.items()}
        self.layout = Layout.of(self._arrays)

    def __getitem__(self, name: str) -> Tensor:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __repr__(self) -> str:
        return f"Arrays({', '.join(f'{t.name}: {t.dtype}{list(t.shape)}' for t in self.layout)})"

    def block(self, name: str, start: int, stop: int) -> Tensor:
        return self._arrays[name].reshape(-1)[start:stop]

    def places(self, pieces: Iterable[tuple[TensorSpec, int, int]]) -> list[int]:
        """Addresses, as ``foedus.core.packs.Placed`` has it."""
        found = [(self._arrays[spec.name], start) for spec, start, _ in pieces]
        return [array.ctypes.data + start * array.itemsize for array, start in found]

    def opened(self) -> AbstractContextManager[int]:
        return nullcontext(-1)


def _plain(array: Tensor) -> Tensor:
    """``array`` in native byte order and C order, so that a block of it is a view."""
    array = np.asarray(array)
    if array.dtype.isnative and array.flags.c_contiguous:
        return array  # itself: who made it may ask later whether this is still the same
    return np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")


def _spec(entry: Any) -> TensorSpec:
    match entry:
        case {"name": str(name), "shape": list(shape), **rest} if all(type(n) is int for n in shape):
            return TensorSpec(name, tuple(shape), str(rest.get("dtype", "float32")))
    raise Invalid("each tensor of a layout has a name, a shape (list of integers) and a dtype", found=repr(entry)[:80])
