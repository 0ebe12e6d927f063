"""Statistics as bytes: the same statistics are the same bytes, on any machine, and are read back with every doubt.

``FSTA``, a version (u16), the length of a header (u32), the header (JSON without blanks), then arrays, little-endian
and without gaps, whose shapes follow from the header. What follows from other numbers is not written, so it cannot
contradict them. Nothing is compressed: libraries differ in the bytes they make. The layout is in
docs/reference/statistics-format.md.
"""

import struct
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from foedus.core.codecs import strict_json
from foedus.core.codecs.limits import Limits
from foedus.core.errors import Invalid
from foedus.core.statistics import wire_header
from foedus.core.statistics.distinct import Patients
from foedus.core.statistics.moments import Floats, Moments, settled
from foedus.core.statistics.sketch import Sketch
from foedus.core.statistics.soundness import check_sketch, check_summary
from foedus.core.statistics.statistics import Statistics
from foedus.core.statistics.summary import Summary
from foedus.core.statistics.wire_header import Header, SummaryHeader

MEDIA_TYPE = "application/vnd.foedus.statistics"
MAGIC = b"FSTA"
VERSION = 1
DEFAULT_LIMITS = Limits()
PREFIX = struct.Struct("<4sHI")


def encode(statistics: Statistics) -> bytes:
    header = wire_header.write(statistics)
    pieces = [PREFIX.pack(MAGIC, VERSION, len(header)), header]
    for summary in (statistics.total, *statistics.parts.values()):
        pieces.extend(_written(summary))
    if statistics.patients is not None:
        pieces.extend(_patients_written(statistics.patients))
    return b"".join(pieces)


def decode(data: bytes, *, foreign: bool = True, limits: Limits = DEFAULT_LIMITS) -> Statistics:
    """The statistics in ``data``. Raises Invalid for anything else, trailing bytes included.

    Unless they are our own (``foreign`` False), they are also doubted: see ``soundness``.
    """
    limits.check_bytes(len(data))
    version, header_bytes = prefix_of(data)
    read = _READERS.get(version)
    if read is None:
        raise Invalid(f"statistics of version {version} cannot be read here; versions {sorted(_READERS)} can")
    limits.check_header(header_bytes)
    text = bytes(data[PREFIX.size : PREFIX.size + header_bytes])
    if len(text) < header_bytes:
        raise Invalid("these statistics are cut short")
    document, arrays = strict_json.parse(text, max_depth=6), memoryview(data)[PREFIX.size + header_bytes :]
    with np.errstate(over="ignore", invalid="ignore"):  # what becomes infinite on the way is found and refused
        statistics = read(document, arrays)
        if foreign:
            if version == VERSION and encode(statistics) != data:
                raise Invalid("these statistics are not written as we would write them")
            for summary in (statistics.total, *statistics.parts.values()):
                check_summary(summary, statistics.schema)
            _check_parts(statistics)
    return statistics


def prefix_of(data: bytes) -> tuple[int, int]:
    if len(data) < PREFIX.size or data[:4] != MAGIC:
        raise Invalid("these are not statistics: they do not start with FSTA")
    _, version, header_bytes = PREFIX.unpack(data[: PREFIX.size])
    return version, header_bytes


def _written(summary: Summary) -> Iterator[bytes]:
    m, whole = summary.moments, whole_type(summary.rows)
    i, b = m.numeric, np.flatnonzero(m.binary)
    yield _bytes(m.groups, "<u4")
    yield _bytes(m.counts[np.tril_indices(len(m.counts))], whole)
    for array in (m.mean[i], m.low[i], m.spread[i]):
        yield _bytes(array, "<f8")
    ones = m.ones()
    yield _bytes(ones[b], whole)
    yield _bytes(m.comoment[np.ix_(i, i)][np.tril_indices(len(i), -1)], "<f8")
    yield _bytes(m.comoment[np.ix_(i, b)], "<f8")
    yield _bytes(_both(m, ones)[np.tril_indices(len(b), -1)], whole)
    for array in (m.cube, m.fourth, m.square, m.product[np.tril_indices(len(m.product))], summary.least, summary.most):
        yield _bytes(array, "<f8")
    for sketch in summary.sketches:
        yield _bytes(sketch.keys, "<i8")
        yield _bytes(sketch.counts, whole)


def _both(m: Moments, ones: Floats) -> Floats:
    """How often two binary columns were 1 together."""
    b = np.flatnonzero(m.binary)
    given = ones[b][:, m.groups[b]]
    n = m.counts[np.ix_(m.groups[b], m.groups[b])]
    return np.rint(m.comoment[np.ix_(b, b)] + given * given.T / np.maximum(n, 1))


def _patients_written(patients: Patients) -> Iterator[bytes]:
    yield _bytes(patients.hashes, "<u8")
    yield _bytes(patients.counts, "<u8")
    yield _bytes(patients.registers, "<u1")


def _bytes(array: NDArray[Any], dtype: DTypeLike) -> bytes:
    return np.ascontiguousarray(array).astype(dtype).tobytes()


def whole_type(rows: int) -> str:
    """The narrowest type for numbers up to ``rows``."""
    return next(f"<u{size}" for size in (1, 2, 4, 8) if rows < 1 << 8 * size)


def _read_1(document: Any, data: memoryview) -> Statistics:
    header = wire_header.read(document)
    arrays = _Arrays(data)
    summaries = [_summary(arrays, part, header) for part in header.summaries]
    patients = _patients(arrays, header)
    arrays.finish()
    parts = {part.level: summary for part, summary in zip(header.summaries, summaries, strict=True) if part.level}
    return Statistics(header.plan, header.schema, summaries[0], parts, patients)


def _summary(arrays: "_Arrays", part: SummaryHeader, header: Header) -> Summary:
    schema, g, whole = header.schema, part.groups, whole_type(part.rows)
    d = len(schema.columns)
    i, b = np.flatnonzero(~schema.binary), np.flatnonzero(schema.binary)
    c, products = len(i), header.plan.products
    groups = arrays.take("<u4", d).astype(np.intp)
    if len(set(groups.tolist())) != g or (d and int(groups.max()) >= g):
        raise Invalid("these are not statistics: groups are not numbered without gaps")
    counts = _symmetric(arrays.take(whole, g * (g + 1) // 2), g, 0).astype(np.int64)
    mean, low, spread, ones = np.zeros((d, g)), np.zeros((d, g)), np.zeros((d, g)), np.zeros((d, g))
    for array in (mean, low, spread):
        array[i] = arrays.take("<f8", c, g)
    ones[b] = arrays.take(whole, d - c, g)
    n = np.maximum(counts, 1)[groups]
    mean[b] = (ones / n)[b]
    comoment = np.zeros((d, d))
    comoment[np.ix_(i, i)] = _symmetric(arrays.take("<f8", c * (c - 1) // 2), c, -1)
    crossed = arrays.take("<f8", c, d - c)
    comoment[np.ix_(i, b)], comoment[np.ix_(b, i)] = crossed, crossed.T
    given = ones[b][:, groups[b]]
    both = _symmetric(arrays.take(whole, (d - c) * (d - c - 1) // 2), d - c, -1)
    comoment[np.ix_(b, b)] = both - given * given.T / n[b][:, groups[b]]
    moments = Moments(
        products=products,
        binary=schema.binary,
        groups=groups,
        counts=counts,
        mean=mean,
        low=low,
        spread=spread,
        comoment=comoment,
        cube=arrays.take("<f8", c),
        fourth=arrays.take("<f8", c),
        square=arrays.take("<f8", c, d if products else d - c),
        product=_symmetric(arrays.take("<f8", c * (c + 1) // 2), c, 0) if products else np.zeros((0, 0)),
    )
    moments = settled(moments)
    least, most = arrays.take("<f8", c), arrays.take("<f8", c)
    sketches = tuple(_sketch(arrays, coarseness, bins, whole) for coarseness, bins in part.sketches)
    return Summary(rows=part.rows, moments=moments, least=least, most=most, sketches=sketches)


def _sketch(arrays: "_Arrays", coarseness: int, bins: int, whole: str) -> Sketch:
    sketch = Sketch(coarseness, arrays.take("<i8", bins), arrays.take(whole, bins).astype(np.int64))
    check_sketch(sketch)
    return sketch


def _patients(arrays: "_Arrays", header: Header) -> Patients | None:
    if header.patients is None:
        return None
    patients = Patients(
        header.patients.key_id,
        arrays.take("<u8", header.patients.hashes),
        arrays.take("<u8", header.patients.hashes).astype(np.int64),
        arrays.take("<u1", header.patients.registers),
    )
    if (patients.hashes[1:] <= patients.hashes[:-1]).any() or (patients.counts <= 0).any():
        raise Invalid("these are not statistics: patients are not in order, or seen less than once")
    return patients


def _check_parts(s: Statistics) -> None:
    """Each part must be about as many rows as its level has in the whole."""
    m = s.total.moments
    for (target, level), part in s.parts.items():
        if not s.schema.is_level(target, level):
            raise Invalid(f"these are not statistics: there is no level {level!r} of a target {target!r}")
        place = s.schema.place(s.schema.column_of(target, level))
        ones, n = int(m.ones()[place, m.groups[place]]), int(m.count()[place])
        if part.rows != (n - ones if level == "0" and s.schema[target].levels == () else ones):
            raise Invalid(f"these are not statistics: the part of {target}={level} is not about its rows")


def _symmetric(values: NDArray[Any], size: int, diagonal: int) -> Floats:
    """A matrix from its lower triangle."""
    matrix = np.zeros((size, size), values.dtype)
    where = np.tril_indices(size, diagonal)
    matrix[where] = values
    matrix.T[where] = values
    return matrix


class _Arrays:
    """What follows the header, taken piece by piece."""

    def __init__(self, data: memoryview) -> None:
        self._data, self._at = data, 0

    def take(self, dtype: str, *shape: int) -> NDArray[Any]:
        size = int(np.prod(shape, dtype=object)) * np.dtype(dtype).itemsize
        if self._at + size > len(self._data):
            raise Invalid("these statistics are cut short")
        piece = self._data[self._at : self._at + size]
        self._at += size
        array = np.frombuffer(piece, dtype).reshape(shape)
        return array.astype(array.dtype.newbyteorder("="))  # a copy: aligned, and free of the bytes it came in

    def finish(self) -> None:
        if self._at != len(self._data):
            raise Invalid(f"these statistics are followed by {len(self._data) - self._at} bytes more")


_READERS: dict[int, Callable[[Any, memoryview], Statistics]] = {1: _read_1}
