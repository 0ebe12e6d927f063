"""JSON documents larger than memory: numbers become float64 blocks as they arrive, and nothing else is ever large.

Numbers in nested lists are split from their brackets, converted a piece at a time, and handed on; of the lists only
the shapes are kept. Whatever holds more than numbers is read as a whole, up to a limit.

Most of the time goes into turning decimals into binary and back. Whoever has a quicker parser than the standard
library's hands it in as ``parse``, or ``dump``.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from foedus.core.arrays import Layout, Tensor, TensorSource, TensorSpec
from foedus.core.codecs import strict_json
from foedus.core.codecs.json import Form
from foedus.core.codecs.json_shapes import CLOSE, OPEN, Ragged, Shapes, Structure
from foedus.core.codecs.json_text import MAX_KEY_BYTES, WHITESPACE, End, Text
from foedus.core.codecs.limits import DEFAULT, Limits
from foedus.core.errors import Invalid, TooLarge

PIECE_BYTES = 1 << 18  # converted at once; some 12,000 numbers of full precision
BLOCK_ELEMENTS = 1 << 14  # written at once
MAX_TOKEN_BYTES = 4096  # of one number
MAX_MIXED_BYTES = 8 << 20  # of a value that holds more than numbers
_FIRST_BYTES = 1 << 13  # looked at before a list is known to be longer
_FOREIGN = b'"{tfnN'  # with one of these begins whatever is neither a number nor a list
_NUMBER_STARTS = frozenset(b"-0123456789")

Emit = Callable[[Tensor], None]
Parse = Callable[[bytes], Any]  # the numbers of a flat JSON list, correctly rounded; raises Invalid for anything else
Dump = Callable[[Any], bytes]  # the JSON of lists of finite numbers, by which each is the same when it is read


def _parsed(text: bytes) -> Any:
    return strict_json.parse(text, max_depth=1)


def _dumped(lists: Any) -> bytes:
    return json.dumps(lists, separators=(",", ":"), allow_nan=False).encode()


@dataclass(frozen=True, slots=True)
class Parsed:
    """A JSON value that was read to its end: the structure of its numbers, or why they cannot be averaged."""

    structure: Structure | None
    obstacle: str = ""


def write(source: TensorSource, form: Form, *, dump: Dump = _dumped) -> Iterator[bytes]:
    """The JSON text of tensors in pieces; reading it gives the same numbers. They must be finite."""
    opening, closing = {Form.MAPPING: (b"{", b"}"), Form.LAYERS: (b"[", b"]"), Form.ARRAY: (b"", b"")}[form]
    yield opening
    for i, spec in enumerate(source.layout):
        label = json.dumps(spec.name) + ":" if form is Form.MAPPING else ""
        yield f"{',' if i else ''}{label}".encode()
        yield from _tensor(source, spec, spec.shape, 0, dump)
    yield closing


def _tensor(source: TensorSource, spec: TensorSpec, shape: tuple[int, ...], start: int, dump: Dump) -> Iterator[bytes]:
    size, row = prod(shape), prod(shape[1:])
    if size <= BLOCK_ELEMENTS:
        yield dump(source.block(spec.name, start, start + size).reshape(shape).tolist())
        return
    yield b"["
    step = max(1, BLOCK_ELEMENTS // row)
    for i in range(0, shape[0], step):
        if i:
            yield b","
        if row > BLOCK_ELEMENTS:
            yield from _tensor(source, spec, shape[1:], start + i * row, dump)
        else:
            stop = min(i + step, shape[0])
            rows = source.block(spec.name, start + i * row, start + stop * row)
            yield dump(rows.reshape(stop - i, *shape[1:]).tolist())[1:-1]
    yield b"]"


def read(text: Text, emit: Emit, *, parse: Parse = _parsed, limits: Limits = DEFAULT) -> Parsed:
    """Read the next value. Its numbers go to ``emit`` in order, in blocks of float64, all of them finite.

    What was emitted is worth nothing when the result has an obstacle. Raises Invalid for what is not JSON, TooLarge
    for values with more than numbers and more than MAX_MIXED_BYTES.
    """
    return _Value(text, emit, parse, limits).read()


class _Foreign(Exception):
    """There is more than numbers; ``depth`` brackets are open."""

    def __init__(self, depth: int) -> None:
        self.depth = depth


class _Value:
    def __init__(self, text: Text, emit: Emit, parse: Parse, limits: Limits) -> None:
        self._text = text
        self._emit = emit
        self._parse = parse
        self._limits = limits
        self._seen = bytearray()  # a copy of the value while it is small enough to be looked at as a whole
        self._obstacle = ""

    def read(self) -> Parsed:
        first = self._text.peek()
        try:
            structure = self._mapping() if first == ord("{") else self._numbers(first)
        except _Foreign as exc:
            return self._mixed(exc.depth)
        except Ragged as exc:
            return Parsed(None, exc.message)
        return Parsed(None, self._obstacle) if self._obstacle else Parsed(structure)

    def _mapping(self) -> Structure:
        """Named arrays, one level deep; anything else in an object cannot be averaged."""
        self._take(1)
        specs: list[TensorSpec] = []
        while self._peek() != ord("}"):
            if specs:
                self._expect(ord(","))
                self._peek()
            specs.append(self._named())
        self._take(1)
        if not specs:
            self._obstacle = "an empty object holds no numbers"
        self._limits.check_tensors(len(specs))
        if len({spec.name for spec in specs}) < len(specs):
            raise Invalid("a key appears twice in a JSON object")
        return Structure(Form.MAPPING, Layout(tuple(specs)))

    def _named(self) -> TensorSpec:
        if self._peek() != ord('"'):
            raise _Foreign(1)
        found = self._text.until(End(), MAX_KEY_BYTES)
        self._remember(found)
        name = strict_json.parse(found, max_depth=1)
        self._expect(ord(":"))
        try:
            structure = self._numbers(self._peek())
        except _Foreign as exc:
            raise _Foreign(exc.depth + 1) from None
        except Ragged as exc:
            self._obstacle, structure = self._obstacle or exc.message, Structure.scalar()
        if structure.form is not Form.ARRAY:
            self._obstacle = self._obstacle or "an array of the object is not rectangular"
            structure = Structure.scalar()
        try:
            return TensorSpec(name, structure.layout.tensors[0].shape, "float64")
        except Invalid as exc:
            self._obstacle = exc.message
            return TensorSpec(f"unnamed {len(self._seen)}", (), "float64")

    def _numbers(self, first: int) -> Structure:
        if first == OPEN:
            shapes, size = Shapes(self._limits.max_tensors), _FIRST_BYTES
            while not self._lists(shapes, size):
                size = min(2 * size, PIECE_BYTES)
            return shapes.structure()
        if first in _NUMBER_STARTS:
            found = self._text.value(MAX_TOKEN_BYTES)
            self._remember(found)
            self._convert(found)
            return Structure.scalar()
        raise _Foreign(0)

    def _lists(self, shapes: Shapes, size: int) -> bool:
        """Take what can be taken of nested lists within the next bytes; whether they closed."""
        window = self._text.rest[:size]
        foreign = _foreign(window)
        numeric = window if foreign < 0 else window[:foreign]
        end = _closing(numeric, shapes.depth)
        if end is None and foreign >= 0:
            raise _Foreign(shapes.depth)
        cut = _latest_mark(numeric) if end is None else end
        piece, following = numeric[:cut], (CLOSE if end is not None else numeric[cut] if numeric else CLOSE)
        bare = piece.translate(None, WHITESPACE)
        if b"[]" in bare or (bare.endswith(b"[") and following == CLOSE):
            raise _Foreign(shapes.depth)  # an empty list, which is rare, and no array
        shapes.feed(np.frombuffer(bare, np.uint8), following)
        self._convert(piece.replace(b"[", b" ").replace(b"]", b" "))
        self._take(len(piece))
        if not piece and (len(window) < size or size == PIECE_BYTES):
            self._wait(window)
        return end is not None

    def _wait(self, window: bytes) -> None:
        """Nothing can be taken of the ``window``: the last number in it, or the space before one, may go on."""
        if len(window[1:].strip(WHITESPACE)) > MAX_TOKEN_BYTES:
            raise Invalid("this is not valid JSON: no number is that long")
        if len(window) == PIECE_BYTES:
            raise Invalid(f"this JSON has more than {PIECE_BYTES >> 10} KiB of white space in a row")
        if not self._text.more():
            raise Invalid("this is not valid JSON: it ends too early")

    def _convert(self, listed: bytes) -> None:
        """Emit numbers separated by commas; where a piece was cut, a comma stands at either end."""
        listed = listed.strip(WHITESPACE).removeprefix(b",").removesuffix(b",")
        if not listed:
            return
        try:
            values = np.array(self._parse(b"[%b]" % listed), np.float64)
        except OverflowError:
            self._obstacle = "a number is larger than float64 can hold"
            return
        if not np.isfinite(values).all():
            self._obstacle = "a number is larger than float64 can hold"
        self._emit(values)

    def _mixed(self, depth: int) -> Parsed:
        """Read on to the end of a value with more than numbers in it, which then must be JSON as a whole."""
        left = MAX_MIXED_BYTES - len(self._seen)
        if left < 0:
            raise TooLarge(f"a value that holds more than numbers has at most {MAX_MIXED_BYTES} bytes")
        self._seen += self._text.until(End(depth), left)
        strict_json.parse(bytes(self._seen), max_depth=self._limits.max_json_depth)
        return Parsed(None, self._obstacle or "it holds something other than numbers, or an empty list")

    def _take(self, count: int) -> None:
        self._remember(self._text.take(count))

    def _expect(self, mark: int) -> None:
        if self._peek() != mark:
            raise _Foreign(1)
        self._take(1)

    def _peek(self) -> int:
        return self._text.peek()

    def _remember(self, taken: bytes) -> None:
        if len(self._seen) <= MAX_MIXED_BYTES:
            self._seen += taken


def _foreign(window: bytes) -> int:
    """The first place where something else than numbers and lists begins; -1 when there is none.

    Bytes that begin nothing are found when numbers are made of them. Looking for one byte at a time is quick.
    """
    return min((at for mark in _FOREIGN if (at := window.find(mark)) >= 0), default=-1)


def _closing(numeric: bytes, depth: int) -> int | None:
    """The place behind the bracket that closes the outermost list, if it is there."""
    if numeric.count(b"]") < depth:
        return None
    characters = np.frombuffer(numeric, np.uint8)
    brackets = np.flatnonzero((characters == OPEN) | (characters == CLOSE))
    if not brackets.size:
        return None
    depths = depth + np.cumsum(np.where(characters[brackets] == OPEN, 1, -1))
    closed = np.flatnonzero(depths == 0)
    return int(brackets[closed[0]]) + 1 if closed.size else None


def _latest_mark(numeric: bytes) -> int:
    """The place of the last bracket or comma: whatever follows may be half a number. 0 when there is none."""
    return max(numeric.rfind(b"["), numeric.rfind(b"]"), numeric.rfind(b","), 0)
