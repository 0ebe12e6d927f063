"""What a cell hands over: its statistics, its columns in their order, and whose rows are in it.

``FCEL``, a version (u16), the length of a header (u32), the header (JSON without blanks: ``columns``, pairs of name and
type letter; ``members``), then statistics as ``foedus.core.statistics`` writes them. Numbers are little-endian.

Every project that has rows in it, and every fusion project on the way, is a member, under a name that tells nothing
about it. So rows that would count twice, and cells that go round in a circle, are found wherever these projects are.
How many patients there were is not handed over: their hashes are nobody else's business.
"""

import hashlib
import json
import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from foedus.core.codecs import strict_json
from foedus.core.errors import Conflict, Invalid, TooLarge
from foedus.core.statistics import Statistics, decode, encode
from foedus.core.symetryml.frames import Letter

MEDIA_TYPE = "application/vnd.foedus.cell"
MAX_HEADER_BYTES = 32 << 20
MAX_MEMBERS = 4096
MAX_HOPS = 8
_MAGIC, _VERSION = b"FCEL", 1
_PREFIX = struct.Struct("<4sHI")
_MEMBER = re.compile(r"[0-9a-f]{16}")
Columns = tuple[tuple[str, str], ...]


class Circle(Conflict):
    """The cells of this fusion project go round in a circle."""


class CountedTwice(Conflict):
    """The same rows would count twice."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """``columns`` are those of ``value``, and perhaps some of which nothing is left, in order of appearance."""

    columns: Columns
    members: frozenset[str]
    value: Statistics


def member_of(key: str) -> str:
    """The name under which a project is a member."""
    return hashlib.sha256(f"foedus member\n{key}".encode()).hexdigest()[:16]


def digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def check_chain(chain: tuple[str, ...], own: str) -> tuple[str, ...]:
    """The fusion projects that ask, now with ``own``. Raises Circle when it asks itself, by whatever ways."""
    if own in chain:
        raise Circle
    if len(chain) >= MAX_HOPS:
        raise Circle(f"fusion projects are nested more than {MAX_HOPS} deep")
    return (*chain, own)


def joined(own: str, cells: Iterable[tuple[str, frozenset[str]]]) -> frozenset[str]:
    """The members of all cells (name and members of each), and ``own``. Raises Circle, CountedTwice, TooLarge."""
    seen: dict[str, str] = {}
    for name, members in cells:
        if own in members:
            raise Circle(f"{name} holds this very fusion project: the cells go round in a circle")
        for member in members:
            if member in seen:
                raise CountedTwice(f"{name} and {seen[member]} hold the same project, whose rows would count twice")
            seen[member] = name
    if len(seen) >= MAX_MEMBERS:
        raise TooLarge(f"a fusion project has at most {MAX_MEMBERS} projects in it")
    return frozenset({own, *seen})


def pack(parcel: Parcel) -> bytes:
    about = {"columns": [list(column) for column in parcel.columns], "members": sorted(parcel.members)}
    header = json.dumps(about, separators=(",", ":"), ensure_ascii=False).encode()
    return _PREFIX.pack(_MAGIC, _VERSION, len(header)) + header + encode(replace(parcel.value, patients=None))


def unpack(data: bytes, *, foreign: bool = True) -> Parcel:
    """Raises Invalid. Unless they are our own (``foreign`` False), the statistics are doubted."""
    if len(data) < _PREFIX.size or data[:4] != _MAGIC:
        raise Invalid("this is nothing that a cell hands over")
    _, version, size = _PREFIX.unpack(data[: _PREFIX.size])
    if version != _VERSION:
        raise Invalid(f"what the cell hands over has version {version}; this server reads version {_VERSION}")
    end = _PREFIX.size + size
    if size > MAX_HEADER_BYTES or end > len(data):
        raise Invalid("what the cell hands over is cut, or its header too long")
    about = strict_json.parse(data[_PREFIX.size : end], max_depth=4)
    if not isinstance(about, dict) or about.keys() != {"columns", "members"}:
        raise Invalid("what the cell hands over has another header")
    value = decode(data[end:], foreign=foreign)
    if value.patients is not None:
        raise Invalid("a cell hands over no patients")
    return Parcel(checked_columns(about["columns"], value), _members(about["members"]), value)


def checked_columns(columns: Any, value: Statistics) -> Columns:
    """Raises Invalid unless every column of the statistics has its place."""
    try:
        found = tuple((str(name), Letter(letter).value) for name, letter in columns)
    except (TypeError, ValueError):
        raise Invalid("the columns are damaged") from None
    names = {name for name, _ in found}
    if len(names) < len(found) or not set(value.columns) <= names:
        raise Invalid("the columns are not those of the statistics")
    return found


def _members(value: Any) -> frozenset[str]:
    if not isinstance(value, list) or not 0 < len(value) <= MAX_MEMBERS:
        raise Invalid(f"a cell has 1 to {MAX_MEMBERS} members")
    if not all(isinstance(each, str) and _MEMBER.fullmatch(each) for each in value):
        raise Invalid("the members of the cell are damaged")
    return frozenset(value)
