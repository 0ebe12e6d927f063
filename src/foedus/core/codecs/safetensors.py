"""safetensors, the native form: the header's length in 8 bytes, a JSON header, then the values without gaps.

Source: https://github.com/huggingface/safetensors ("Format"). The header may list tensors in any order; ours, and
the layout of what is read, is the order of their values.
"""

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from foedus.core.arrays import Arrays, Layout, TensorSource, TensorSpec
from foedus.core.codecs import strict_json
from foedus.core.codecs.limits import DEFAULT, ON_DISK, Limits
from foedus.core.codecs.sources import BufferSource, Data, FileSource, PlacedSource
from foedus.core.errors import Invalid

MEDIA_TYPE = "application/vnd.safetensors"
CHUNK_BYTES = 1 << 20
MAX_METADATA_BYTES = 1 << 16  # what ``size_bytes`` grants to a file's metadata and padding
_PREFIX = struct.Struct("<Q")
_CACHED_BYTES = 1 << 16  # a longer header is parsed anew each time
_CACHED_TENSORS = 1000  # of a larger layout, its header is measured anew each time
_HEADER_DEPTH = 4  # header, tensor, shape; one spare for a text that says more than "too deep"
_METADATA = "__metadata__"
_DTYPES = {
    "BOOL": "bool", "I8": "int8", "U8": "uint8", "I16": "int16", "U16": "uint16", "I32": "int32", "U32": "uint32",
    "I64": "int64", "U64": "uint64", "F16": "float16", "F32": "float32", "F64": "float64",
}  # fmt: skip
_CODES = {dtype: code for code, dtype in _DTYPES.items()}


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says of itself. ``offsets`` are places of tensors in the file, ``size_bytes`` its whole length."""

    layout: Layout
    offsets: Mapping[str, int]
    metadata: Mapping[str, str]
    size_bytes: int


def encode(arrays: TensorSource, metadata: Mapping[str, str] | None = None) -> bytes:
    return b"".join(chunks(arrays, metadata))


def chunks(source: TensorSource, metadata: Mapping[str, str] | None = None) -> Iterator[bytes]:
    """The file in pieces of at most CHUNK_BYTES after its header."""
    yield header_of(source.layout, metadata or {})
    for spec in source.layout:
        dtype = np.dtype(spec.dtype).newbyteorder("<")
        step = CHUNK_BYTES // dtype.itemsize
        for start in range(0, spec.size, step):
            yield source.block(spec.name, start, start + step).astype(dtype, copy=False).tobytes()


def decode(data: Data, *, layout: Layout | None = None, limits: Limits = DEFAULT) -> Arrays:
    """The tensors as views of ``data``. Raises Invalid for anything but a sound file (of ``layout``, when given)."""
    return open_source(data, layout=layout, limits=limits).arrays()


def open_source(where: Path | Data, *, layout: Layout | None = None, limits: Limits | None = None) -> PlacedSource:
    """The tensors of a file, however large, or of a buffer that holds one, to be read in blocks."""
    if isinstance(where, Path):
        header = _read_file_header(where, limits or ON_DISK)
    else:
        header = read_header(where, len(where), limits=limits or DEFAULT)
    if layout is not None:
        layout.check(header.layout)
    source = FileSource if isinstance(where, Path) else BufferSource
    opened = source(where, header.layout, header.offsets)  # type: ignore[arg-type]  # both follow ``where``
    opened.metadata = header.metadata
    return opened


def header_bytes(first: Data, size_bytes: int, *, limits: Limits = DEFAULT) -> int:
    """How many bytes of a file of ``size_bytes`` come before its values, from its first 8 bytes."""
    limits.check_bytes(size_bytes)
    if len(first) < _PREFIX.size or size_bytes < _PREFIX.size:
        raise Invalid("this is not a safetensors file: it has fewer than 8 bytes")
    (length,) = _PREFIX.unpack(first[: _PREFIX.size])
    if _PREFIX.size + length > size_bytes:  # looked at first: what is no safetensors at all has absurd lengths here
        text = "this is not a safetensors file: its header would be longer than the file"
        raise Invalid(text, header_bytes=length, size_bytes=size_bytes)
    limits.check_header(length)
    return int(_PREFIX.size + length)


def read_header(first: Data, size_bytes: int, *, limits: Limits = DEFAULT) -> Header:
    """The header of a file of ``size_bytes`` from its ``first`` bytes, which must hold all of it. Checks everything."""
    values_at = header_bytes(first, size_bytes, limits=limits)
    if len(first) < values_at:
        raise Invalid(f"the header needs the first {values_at} bytes, here are {len(first)}")
    text = bytes(first[_PREFIX.size : values_at])
    return (_parsed if len(text) > _CACHED_BYTES else _known)(text, size_bytes, limits)


def _parsed(text: bytes, size_bytes: int, limits: Limits) -> Header:
    if not text.startswith(b"{"):
        raise Invalid("this is not a safetensors file: the header starts with '{'")
    values_at = _PREFIX.size + len(text)
    entries = strict_json.parse(text, max_depth=_HEADER_DEPTH)
    metadata = _metadata(entries.pop(_METADATA, {}))
    limits.check_tensors(len(entries))
    tensors = sorted((_tensor(name, entry) for name, entry in entries.items()), key=lambda tensor: tensor[1:])
    layout = Layout(tuple(spec for spec, _, _ in tensors))
    end = 0
    for spec, begin, stop in tensors:
        if begin != end:
            raise Invalid(f"tensor {spec.name!r} starts at byte {begin}, the one before it ends at {end}")
        end = stop
    if values_at + end != size_bytes:
        raise Invalid(f"the header speaks of {values_at + end} bytes, the file has {size_bytes}")
    offsets = {spec.name: values_at + begin for spec, begin, _ in tensors}
    return Header(layout, MappingProxyType(offsets), MappingProxyType(metadata), size_bytes)


# All updates of a round have the same header, and to parse it costs more than all else that is done with a small one.
_known = lru_cache(maxsize=64)(_parsed)


def size_bytes(layout: Layout) -> int:
    """The most bytes a file of ``layout`` may have, whoever wrote it: escaped names, wide JSON, 64 KiB of metadata."""
    largest = (_largest_header if len(layout) > _CACHED_TENSORS else _known_header)(layout)
    return _PREFIX.size + largest + MAX_METADATA_BYTES + layout.nbytes


def _largest_header(layout: Layout) -> int:
    return len(json.dumps({t.name: _entry(t, 10**18) for t in layout}, indent=1))


_known_header = lru_cache(maxsize=16)(_largest_header)  # of each update it is asked


def _read_file_header(path: Path, limits: Limits) -> Header:
    size = path.stat().st_size
    with path.open("rb") as file:
        first = file.read(_PREFIX.size)
        first += file.read(header_bytes(first, size, limits=limits) - _PREFIX.size)
    return read_header(first, size, limits=limits)


def header_of(layout: Layout, metadata: Mapping[str, str]) -> bytes:
    """What comes before the values, which follow each other in the order of ``layout``."""
    header: dict[str, Any] = {_METADATA: dict(metadata)} if metadata else {}
    begin = 0
    for tensor in layout:
        if tensor.name == _METADATA:
            raise Invalid(f"safetensors cannot hold a tensor named {_METADATA!r}", tensor=_METADATA)
        header[tensor.name] = _entry(tensor, begin)
        begin += tensor.nbytes
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # values start on a multiple of eight bytes
    return _PREFIX.pack(len(text)) + text


def _entry(tensor: TensorSpec, begin: int) -> dict[str, Any]:
    return {
        "dtype": _CODES[tensor.dtype],
        "shape": list(tensor.shape),
        "data_offsets": [begin, begin + tensor.nbytes],
    }


def _tensor(name: str, entry: Any) -> tuple[TensorSpec, int, int]:
    match entry:
        case {"dtype": str(code), "shape": list(shape), "data_offsets": [int(begin), int(end)]} if len(
            entry
        ) == 3 and all(type(n) is int for n in (*shape, begin, end)):
            spec = TensorSpec(name, tuple(shape), _dtype(name, code))
        case _:
            raise Invalid(f"tensor {name[:80]!r} needs dtype, shape and data_offsets, each of its own type")
    if end - begin != spec.nbytes:
        raise Invalid(f"tensor {name!r} takes {spec.nbytes} bytes, its offsets give it {end - begin}", tensor=name)
    return spec, begin, end


def _dtype(name: str, code: str) -> str:
    if code == "BF16":
        raise Invalid(f"tensor {name[:80]!r} is BF16, which is not supported: convert it to F32 or F16", tensor=name)
    if code not in _DTYPES:
        raise Invalid(f"tensor {name[:80]!r}: dtype {code[:20]!r} is not one of {', '.join(_DTYPES)}", tensor=name)
    return _DTYPES[code]


def _metadata(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise Invalid(f"{_METADATA} maps text to text")
    return value
