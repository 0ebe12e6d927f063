"""The .npy form of NumPy, versions 1 to 3: one tensor, its dtype and shape in a Python literal. Objects are refused.

Source: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

import ast
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np

from foedus.core.arrays import Arrays, Layout, TensorSource, TensorSpec
from foedus.core.codecs.limits import DEFAULT, SINGLE, Limits
from foedus.core.codecs.sources import Data
from foedus.core.errors import Invalid

MEDIA_TYPE = "application/x-npy"
CHUNK_BYTES = 1 << 20
MAX_HEADER_CHARACTERS = 4096
_MAGIC = b"\x93NUMPY"
_LENGTHS = {1: struct.Struct("<H"), 2: struct.Struct("<I"), 3: struct.Struct("<I")}
_KINDS = {
    "b1": "bool", "i1": "int8", "u1": "uint8", "i2": "int16", "u2": "uint16", "i4": "int32", "u4": "uint32",
    "i8": "int64", "u8": "uint64", "f2": "float16", "f4": "float32", "f8": "float64",
}  # fmt: skip
_CODES = {dtype: ("|" if code[1] == "1" else "<") + code for code, dtype in _KINDS.items()}


def encode(arrays: TensorSource) -> bytes:
    return b"".join(chunks(arrays))


def chunks(source: TensorSource) -> Iterator[bytes]:
    """The file in pieces. Raises Invalid unless there is exactly one tensor; its name is not kept."""
    spec = _only(source.layout)
    code = _CODES[spec.dtype]
    text = f"{{'descr': {code!r}, 'fortran_order': False, 'shape': {spec.shape!r}, }}"
    text += " " * (-(len(text) + 11) % 64) + "\n"  # values start on a multiple of 64 bytes
    yield _MAGIC + b"\x01\x00" + _LENGTHS[1].pack(len(text)) + text.encode("latin1")
    step = CHUNK_BYTES // np.dtype(code).itemsize
    for start in range(0, spec.size, step):
        yield source.block(spec.name, start, start + step).astype(code, copy=False).tobytes()


def decode(data: Data, *, layout: Layout | None = None, limits: Limits = DEFAULT) -> Arrays:
    """One tensor, named as in ``layout`` or ``weights``, in native byte order and C order."""
    limits.check_bytes(len(data))
    name = SINGLE if layout is None else _only(layout).name
    text, values_at = _header(data, limits)
    dtype, fortran_order, shape = _fields(text)
    spec = TensorSpec(name, shape, dtype.name)
    if layout is not None:
        layout.check(Layout((spec,)))
    if values_at + spec.nbytes != len(data):
        raise Invalid(f"the .npy header speaks of {values_at + spec.nbytes} bytes, the file has {len(data)}")
    values = np.frombuffer(data, dtype, spec.size, values_at) if spec.size else np.empty(0, dtype)
    if dtype.kind == "b" and values.size and values.view(np.uint8).max() > 1:
        raise Invalid("a bool of a .npy file is stored as 0 or 1")
    return Arrays({name: values.reshape(shape[::-1]).T if fortran_order else values.reshape(shape)})


def _header(data: Data, limits: Limits) -> tuple[str, int]:
    """The header's text, and where the values start."""
    start = bytes(data[:12])
    if start[:6] != _MAGIC or len(start) < 8:
        raise Invalid("this is not a .npy file")
    length_form = _LENGTHS.get(start[6])
    if length_form is None or start[7] != 0:
        raise Invalid(f"version {start[6]}.{start[7]} of .npy is not known; 1.0, 2.0 and 3.0 are")
    text_at = 8 + length_form.size
    if len(start) < text_at:
        raise Invalid("the .npy file ends within its header")
    (length,) = length_form.unpack_from(start, 8)
    limits.check_header(length)
    if length > MAX_HEADER_CHARACTERS:
        raise Invalid(f"the .npy header has {length} characters, {MAX_HEADER_CHARACTERS} are allowed")
    text = bytes(data[text_at : text_at + length])
    if len(text) < length:
        raise Invalid("the .npy file ends within its header")
    return text.decode("latin1"), text_at + length


def _fields(text: str) -> tuple[np.dtype[Any], bool, tuple[int, ...]]:
    if not text.isascii() or text.count("(") + text.count("[") + text.count("{") > 2 or "\\" in text:
        raise Invalid("the .npy header is not a plain description of one tensor")
    try:
        fields = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as exc:
        raise Invalid("the .npy header is not a Python dictionary") from exc
    match fields:
        case {"descr": str(descr), "fortran_order": bool(fortran_order), "shape": tuple(shape)} if len(
            fields
        ) == 3 and all(type(n) is int for n in shape):
            return _dtype(descr), fortran_order, shape
    raise Invalid("the .npy header needs descr, fortran_order and shape, each of its own type")


def _dtype(descr: str) -> np.dtype[Any]:
    order, code = descr[:1], descr[1:]
    if code not in _KINDS or (order not in ("<", ">") and (order, code[1]) != ("|", "1")):
        raise Invalid(f"dtype {descr[:20]!r} is not one of {', '.join(_KINDS.values())}")
    return np.dtype(descr)


def _only(layout: Layout) -> TensorSpec:
    if len(layout) != 1:
        raise Invalid(f"a .npy file holds one tensor, this model has {len(layout)}")
    return layout.tensors[0]
