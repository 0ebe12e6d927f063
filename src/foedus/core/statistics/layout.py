"""Where the arrays of statistics lie in their bytes, by the header alone."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from foedus.core.codecs import strict_json
from foedus.core.errors import Invalid
from foedus.core.statistics import wire_header
from foedus.core.statistics.codec import DEFAULT_LIMITS, PREFIX, VERSION, prefix_of, whole_type
from foedus.core.statistics.statistics import Level
from foedus.core.statistics.wire_header import Header, SummaryHeader


@dataclass(frozen=True, slots=True)
class Span:
    """An array: whose summary's (None: of all rows) and which one, where it begins and how long it is, in bytes."""

    level: Level | None
    name: str
    start: int
    size: int

    @property
    def key(self) -> tuple[Level | None, str]:
        return self.level, self.name


def head_bytes(data: bytes) -> int:
    """How many bytes come before the first array. Raises Invalid."""
    version, header_bytes = prefix_of(data)
    if version != VERSION:
        raise Invalid(f"statistics of version {version} have another layout")
    DEFAULT_LIMITS.check_header(header_bytes)
    if PREFIX.size + header_bytes > len(data):
        raise Invalid("these statistics are cut short")
    return PREFIX.size + header_bytes


def head_of(pieces: Iterable[bytes]) -> bytes:
    """The first of ``pieces``, which make up statistics: so many that all before the first array is there. Raises
    Invalid.
    """
    head = b""
    for piece in pieces:
        head += piece
        if len(head) >= PREFIX.size and len(head) >= PREFIX.size + prefix_of(head)[1]:
            break
    return head[: head_bytes(head)]


def header_of(data: bytes) -> Header:
    """What statistics are about and how many rows they have, without reading them. Raises Invalid."""
    return wire_header.read(strict_json.parse(bytes(data[PREFIX.size : head_bytes(data)]), max_depth=6))


def spans(head: bytes) -> list[Span]:
    """Of all arrays, in their order, for statistics that begin with ``head``. Raises Invalid."""
    start, header = head_bytes(head), header_of(head)
    found = []
    for part in header.summaries:
        for name, size in _sizes(part, header):
            found.append(Span(part.level, name, start, size))
            start += size
    if header.patients is not None:
        found.append(Span(None, "patients", start, 16 * header.patients.hashes + header.patients.registers))
    return found


def _sizes(part: SummaryHeader, header: Header) -> Iterator[tuple[str, int]]:
    """In the order in which the codec writes them."""
    d, g, w = len(header.schema.columns), part.groups, np.dtype(whole_type(part.rows)).itemsize
    b = int(np.count_nonzero(header.schema.binary))
    c = d - b
    yield "groups", 4 * d
    yield "counts", w * (g * (g + 1) // 2)
    for name in ("mean", "low", "spread"):
        yield name, 8 * c * g
    yield "ones", w * b * g
    yield "comoment", 8 * (c * (c - 1) // 2)
    yield "crossed", 8 * c * b
    yield "both", w * (b * (b - 1) // 2)
    for name in ("cube", "fourth"):
        yield name, 8 * c
    yield "square", 8 * c * (d if header.plan.products else b)
    yield "product", 8 * (c * (c + 1) // 2) if header.plan.products else 0
    for name in ("least", "most"):
        yield name, 8 * c
    for number, (_, bins) in enumerate(part.sketches):
        yield f"keys {number}", 8 * bins
        yield f"tally {number}", w * bins
