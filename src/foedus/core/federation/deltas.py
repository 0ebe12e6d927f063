"""Statistics as what changed of earlier ones: the same bytes in the end, fewer on the way.

Moments of many rows change little by a few more: sign, exponent and the leading digits of most numbers stay, and where
no row had a column, or two columns together, all of them do. From each array the one of the same name and size is
subtracted, as whole numbers of 64 bits: those of two floats of one sign differ by about as much as the floats, relative
to them. Signs go last (0, -1, 1, -2, ...), and bytes of equal weight side by side: what stayed are then runs of zeros.

``FDEL``, a version (u8), the length of the head (u32), the head: what the new statistics have before their arrays. It
tells how long all that follows is. Then packs: the bytes of weight 0 to 7 of all arrays that are compared and
whose size is a multiple of 8, those of all others that are compared, and all arrays that are new or of another size. A
pack is a flag (u8: 0 as it is, 1 deflated), its length (u64), and its bytes. Numbers are little-endian.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from foedus.core.errors import Invalid
from foedus.core.statistics.layout import Span, head_bytes, spans

MAGIC, VERSION = b"FDEL", 1
WORTH = 0.75  # of the whole; what is larger is not worth a message that means nothing by itself
_PREFIX = struct.Struct("<4sBI")
_PACK = struct.Struct("<BQ")
_PLAIN, _DEFLATED = 0, 1
_WIDTH = 8
_PROBED = 1 << 16
_MOST_BITS = 7.5  # of information in a byte of a pack; with more, deflating costs time and gains next to nothing
Octets = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class _Compared:
    """Arrays that are compared, old and new, by whether their size is a multiple of 8; and those that are not."""

    wide: list[tuple[Span, Span]] = field(default_factory=list)
    narrow: list[tuple[Span, Span]] = field(default_factory=list)
    fresh: list[Span] = field(default_factory=list)

    @property
    def sizes(self) -> list[int]:
        """Of the packs."""
        return [_total(self.wide) // _WIDTH] * _WIDTH + [_total(self.narrow), sum(span.size for span in self.fresh)]


def delta(base: bytes, new: bytes) -> bytes:
    """What makes ``new`` out of ``base``; both are statistics as the codec writes them. Raises Invalid."""
    head = new[: head_bytes(new)]
    found = _compared(base, head)
    wide = _joined([_less(_octets(new, b), _octets(base, a)) for a, b in found.wide])
    narrow = _joined([_octets(new, b) - _octets(base, a) for a, b in found.narrow])
    packs = [*wide.reshape(-1, _WIDTH).T, narrow, _joined([_octets(new, span) for span in found.fresh])]
    return b"".join([_PREFIX.pack(MAGIC, VERSION, len(head)), head, *map(_packed, packs)])


def whole(base: bytes, changes: bytes, most: int) -> bytes:
    """What ``changes`` makes out of ``base``, of at most ``most`` bytes. Raises Invalid: it comes from strangers."""
    head, packed = _parts(changes)
    found = _compared(base, head)
    end = len(head) + sum(found.sizes)
    if end > most:
        raise Invalid(f"the statistics of a change would have {end} bytes, and {most} are taken")
    *planes, narrow, fresh = _unpacked(packed, found.sizes)
    new = np.empty(end, np.uint8)
    new[: len(head)] = np.frombuffer(head, np.uint8)
    wide = np.stack(planes, axis=1).ravel()
    for (old, span), less in zip(found.wide, _cut(wide, [span for _, span in found.wide]), strict=True):
        new[span.start : span.start + span.size] = _more(_octets(base, old), less)
    for (old, span), less in zip(found.narrow, _cut(narrow, [span for _, span in found.narrow]), strict=True):
        new[span.start : span.start + span.size] = _octets(base, old) + less
    for span, octets in zip(found.fresh, _cut(fresh, found.fresh), strict=True):
        new[span.start : span.start + span.size] = octets
    return new.tobytes()


def _parts(changes: bytes) -> tuple[bytes, bytes]:
    """The head of the new statistics, and the packs."""
    if len(changes) < _PREFIX.size:
        raise Invalid("this is no change of statistics")
    magic, version, size = _PREFIX.unpack_from(changes)
    if (magic, version) != (MAGIC, VERSION) or size > len(changes) - _PREFIX.size:
        raise Invalid("this is no change of statistics, or one of another version")
    head = changes[_PREFIX.size : _PREFIX.size + size]
    if head_bytes(head) != size:
        raise Invalid("a change of statistics has a head of another length than it says")
    return head, changes[_PREFIX.size + size :]


def _compared(base: bytes, head: bytes) -> _Compared:
    old = {span.key: span for span in spans(base)}
    if sum(span.size for span in old.values()) + head_bytes(base) != len(base):
        raise Invalid("the statistics that were to be changed are damaged")
    found = _Compared()
    for span in spans(head):
        known = old.get(span.key)
        if known is None or known.size != span.size:
            found.fresh.append(span)
        else:
            (found.narrow if span.size % _WIDTH else found.wide).append((known, span))
    return found


def _total(pairs: Sequence[tuple[Span, Span]]) -> int:
    return sum(span.size for _, span in pairs)


def _octets(data: bytes, span: Span) -> Octets:
    return np.frombuffer(data, np.uint8, span.size, span.start)


def _less(new: Octets, old: Octets) -> Octets:
    """The difference as numbers of 64 bits, from which ``_more`` makes ``new`` again."""
    change = (new.view("<u8") - old.view("<u8")).view("<i8")
    less: Octets = ((change << 1) ^ (change >> 63)).view(np.uint8)
    return less


def _more(old: Octets, less: Octets) -> Octets:
    change = less.view("<u8")
    new: Octets = (old.view("<u8") + ((change >> 1) ^ -(change & 1))).view(np.uint8)
    return new


def _joined(arrays: Sequence[Octets]) -> Octets:
    return np.concatenate(arrays) if arrays else np.zeros(0, np.uint8)


def _cut(octets: Octets, places: Sequence[Span]) -> Iterator[Octets]:
    start = 0
    for span in places:
        yield octets[start : start + span.size]
        start += span.size


def _packed(octets: Octets) -> bytes:
    data = octets.tobytes()
    if _bits(octets) < _MOST_BITS:
        deflated = zlib.compress(data, 1)
        if len(deflated) < len(data):
            return _PACK.pack(_DEFLATED, len(deflated)) + deflated
    return _PACK.pack(_PLAIN, len(data)) + data


def _bits(octets: Octets) -> float:
    """The information in a byte, if each is taken by itself; of many, some thousands tell."""
    octets = octets[:: max(1, octets.size // _PROBED)]
    shares = np.bincount(octets, minlength=1) / max(1, octets.size)
    shares = shares[shares > 0]
    return -float(shares @ np.log2(shares))


def _unpacked(data: bytes, sizes: Sequence[int]) -> list[Octets]:
    """Raises Invalid unless there are packs of just these sizes: no more is ever unpacked."""
    found, view = [], memoryview(data)
    for size in sizes:
        if len(view) < _PACK.size:
            raise Invalid("a change of statistics is cut short")
        flag, length = _PACK.unpack_from(view)
        pack, view = view[_PACK.size : _PACK.size + length], view[_PACK.size + length :]
        octets = bytes(pack) if flag == _PLAIN else _inflated(bytes(pack), size) if flag == _DEFLATED else b""
        if len(pack) != length or len(octets) != size:
            raise Invalid("a change of statistics is damaged")
        found.append(np.frombuffer(octets, np.uint8))
    if len(view):
        raise Invalid("a change of statistics is longer than it says")
    return found


def _inflated(data: bytes, size: int) -> bytes:
    inflater = zlib.decompressobj()
    try:
        octets = inflater.decompress(data, size + 1)
    except zlib.error:
        return b""
    return octets if inflater.eof and not inflater.unused_data else b""
