"""JSON documents larger than memory: numbers become float64 blocks as they arrive, and nothing else is ever large.

Numbers in nested lists are split from their brackets, converted a piece at a time, and handed on; of the lists only
the shapes are kept. Whatever holds more than numbers is read as a whole, up to a limit.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod

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
_FOREIGN = bytes(0 if byte in b"[],0123456789+-.eE \t\r\n" else 1 for byte in range(256))
_UNBRACKETED = bytes(32 if byte in b"[]" else byte for byte in range(256))
_NUMBER_STARTS = frozenset(b"-0123456789")

Emit = Callable[[Tensor], None]


@dataclass(frozen=True, slots=True)
class Parsed:
    """A JSON value that was read to its end: the structure of its numbers, or why they cannot be averaged."""

    structure: Structure | None
    obstacle: str = ""


def write(source: TensorSource, form: Form) -> Iterator[bytes]:
    """The JSON text of tensors in pieces; reading it gives the same numbers. They must be finite."""
    opening, closing = {Form.MAPPING: (b"{", b"}"), Form.LAYERS: (b"[", b"]"), Form.ARRAY: (b"", b"")}[form]
    yield opening
    for i, spec in enumerate(source.layout):
        label = json.dumps(spec.name) + ":" if form is Form.MAPPING else ""
        yield f"{',' if i else ''}{label}".encode()
        yield from _tensor(source, spec, spec.shape, 0)
    yield closing


def _tensor(source: TensorSource, spec: TensorSpec, shape: tuple[int, ...], start: int) -> Iterator[bytes]:
    size, row = prod(shape), prod(shape[1:])
    if size <= BLOCK_ELEMENTS:
        yield _text(source.block(spec.name, start, start + size).reshape(shape))
        return
    yield b"["
    step = max(1, BLOCK_ELEMENTS // row)
    for i in range(0, shape[0], step):
        if i:
            yield b","
        if row > BLOCK_ELEMENTS:
            yield from _tensor(source, spec, shape[1:], start + i * row)
        else:
            stop = min(i + step, shape[0])
            rows = source.block(spec.name, start + i * row, start + stop * row)
            yield _text(rows.reshape(stop - i, *shape[1:]))[1:-1]
    yield b"]"


def _text(array: Tensor) -> bytes:
    return json.dumps(array.tolist(), separators=(",", ":"), allow_nan=False).encode()


def read(text: Text, emit: Emit, *, limits: Limits = DEFAULT) -> Parsed:
    """Read the next value. Its numbers go to ``emit`` in order, in blocks of float64, all of them finite.

    What was emitted is worth nothing when the result has an obstacle. Raises Invalid for what is not JSON, TooLarge
    for values with more than numbers and more than MAX_MIXED_BYTES.
    """
    return _Value(text, emit, limits).read()


class _Foreign(Exception):
    """There is more than numbers; ``depth`` brackets are open."""

    def __init__(self, depth: int) -> None:
        self.depth = depth


class _Value:
    def __init__(self, text: Text, emit: Emit, limits: Limits) -> None:
        self._text = text
        self._emit = emit
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
            shapes = Shapes(self._limits.max_tensors)
            while not self._lists(shapes):
                pass
            return shapes.structure()
        if first in _NUMBER_STARTS:
            found = self._text.value(MAX_TOKEN_BYTES)
            self._remember(found)
            self._convert(found)
            return Structure.scalar()
        raise _Foreign(0)

    def _lists(self, shapes: Shapes) -> bool:
        """Take what can be taken of nested lists; whether they closed."""
        window = self._text.rest[:PIECE_BYTES]
        foreign = window.translate(_FOREIGN).find(1)
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
        self._convert(piece.translate(_UNBRACKETED))
        self._take(len(piece))
        if not piece:
            self._wait(window)
        return end is not None

    def _wait(self, window: bytes) -> None:
        """Nothing can be taken of the ``window``: the last number in it may go on."""
        if len(window) > MAX_TOKEN_BYTES:
            raise Invalid("this is not valid JSON: no number is that long")
        if not self._text.more():
            raise Invalid("this is not valid JSON: it ends too early")

    def _convert(self, listed: bytes) -> None:
        """Emit numbers separated by commas; where a piece was cut, a comma stands at either end."""
        listed = listed.strip(WHITESPACE).removeprefix(b",").removesuffix(b",")
        if not listed:
            return
        try:
            values = np.array(json.loads(b"[%b]" % listed), np.float64)
        except OverflowError:
            self._obstacle = "a number is larger than float64 can hold"
            return
        except json.JSONDecodeError as exc:
            raise Invalid(f"this is not valid JSON: {exc}"[:300]) from exc
        except ValueError as exc:  # Python's own words for it tell how to configure Python
            raise Invalid("this is not valid JSON for us: an integer has thousands of digits") from exc
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


def _closing(numeric: bytes, depth: int) -> int | None:
    """The place behind the bracket that closes the outermost list, if it is there."""
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
