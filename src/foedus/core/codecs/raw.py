"""Little-endian float32 values in the order of a layout, with nothing around them: what phones send."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from foedus.core.arrays import Arrays, Layout, TensorSource
from foedus.core.codecs.limits import DEFAULT, Limits
from foedus.core.codecs.sources import BufferSource, Data, FileSource, PlacedSource, packed
from foedus.core.errors import Invalid

MEDIA_TYPE = "application/octet-stream"
CHUNK_ELEMENTS = 1 << 18


def encode(arrays: TensorSource) -> bytes:
    return b"".join(chunks(arrays))


def chunks(source: TensorSource) -> Iterator[bytes]:
    _check_float32(source.layout)
    for spec in source.layout:
        for start in range(0, spec.size, CHUNK_ELEMENTS):
            yield source.block(spec.name, start, start + CHUNK_ELEMENTS).astype("<f4", copy=False).tobytes()


def decode(data: Data, *, layout: Layout | None, limits: Limits = DEFAULT) -> Arrays:
    """The tensors as views of ``data``, which has exactly the size that ``layout`` says."""
    return open_source(data, layout=layout, limits=limits).arrays()


def open_source(where: Path | Data, *, layout: Layout | None, limits: Limits = DEFAULT) -> PlacedSource:
    """The tensors of a file, or of a buffer that holds one, to be read in blocks."""
    if layout is None:
        raise Invalid("raw values say nothing of their shapes: a layout is needed to read them")
    _check_float32(layout)
    size_bytes = where.stat().st_size if isinstance(where, Path) else len(where)
    limits.check_bytes(size_bytes)
    limits.check_tensors(len(layout))
    if size_bytes != layout.nbytes:
        raise Invalid(f"expected {layout.nbytes} bytes ({layout.size} values of float32), found {size_bytes}")
    source = FileSource if isinstance(where, Path) else BufferSource
    return source(where, layout, packed(layout))  # type: ignore[arg-type]  # both follow ``where``


def _check_float32(layout: Layout) -> None:
    for spec in layout:
        if np.dtype(spec.dtype) != np.float32:
            raise Invalid(f"tensor {spec.name!r} is {spec.dtype}; raw values are float32 only", tensor=spec.name)
