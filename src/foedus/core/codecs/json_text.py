"""A JSON text that comes in pieces: keys and small values are taken whole, nothing is read further than needed."""

import re
from collections.abc import Callable, Iterable, Iterator

from foedus.core.arrays import MAX_NAME_CHARACTERS
from foedus.core.codecs import strict_json
from foedus.core.errors import Invalid, TooLarge

WHITESPACE = b" \t\r\n"
MAX_KEY_BYTES = 8 * MAX_NAME_CHARACTERS
_MARKS = re.compile(rb'["\[\]{}]')
_STRING_MARKS = re.compile(rb'["\\]')
_LITERAL_ENDS = re.compile(rb"[,\]}\s]")

Keep = Callable[[bytes], None]


class Text:
    """A JSON text that comes in pieces. Raises Invalid when it ends too early or is not JSON, TooLarge."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = b""
        self._keep: Keep | None = None

    @property
    def rest(self) -> bytes:
        """What has come and was not taken."""
        return self._rest

    def more(self) -> bool:
        """Wait for another piece; False at the end of the text."""
        for piece in self._pieces:
            if piece:
                self._rest += piece
                return True
        return False

    def take(self, count: int) -> bytes:
        taken, self._rest = self._rest[:count], self._rest[count:]
        if self._keep is not None:
            self._keep(taken)
        return taken

    def peek(self) -> int:
        """The next byte that is not whitespace, which is left in place; -1 at the end."""
        while True:
            blank = len(self._rest) - len(self._rest.lstrip(WHITESPACE))
            if blank:
                self.take(blank)
            if self._rest:
                return self._rest[0]
            if not self.more():
                return -1

    def expect(self, mark: bytes) -> None:
        if self.peek() != mark[0]:
            raise Invalid(f"this is not valid JSON: {mark.decode()!r} is missing")
        self.take(1)

    def value(self, limit_bytes: int) -> bytes:
        """The bytes of the next value, not checked. Raises TooLarge."""
        self.peek()
        return self.until(End(), limit_bytes)

    def until(self, end: "End", limit_bytes: int) -> bytes:
        """What comes before ``end`` finds its place. Raises TooLarge."""
        taken = bytearray()
        while True:
            place = end.find(self._rest)
            taken += self.take(len(self._rest) if place is None else place)
            if len(taken) > limit_bytes:
                text = f"a value of this JSON is larger than the {limit_bytes} bytes allowed here"
                raise TooLarge(text, limit_bytes=limit_bytes)
            if place is not None:
                return bytes(taken)
            if not self.more():
                if end.may_end:
                    return bytes(taken)
                raise Invalid("this is not valid JSON: it ends too early")

    def key(self) -> str:
        """An object's next key and its colon."""
        if self.peek() != ord('"'):
            raise Invalid("this is not valid JSON: a key in quotes is missing")
        name: str = strict_json.parse(self.value(MAX_KEY_BYTES), max_depth=1)
        self.expect(b":")
        return name

    def fields(self) -> Iterator[str]:
        """The keys of an object; whoever iterates takes each one's value. Raises Invalid for a key that comes twice."""
        seen: set[str] = set()
        self.expect(b"{")
        while self.peek() != ord("}"):
            if seen:
                self.expect(b",")
            name = self.key()
            if name in seen:
                raise Invalid(f"the key {name[:80]!r} appears twice in a JSON object")
            seen.add(name)
            yield name
        self.take(1)

    def end(self) -> None:
        """Raise Invalid unless nothing follows."""
        if self.peek() != -1:
            raise Invalid("this is not valid JSON: something follows its end")

    def record(self, keep: Keep | None) -> None:
        """From now on hand a copy of whatever is taken to ``keep``; None ends that."""
        self._keep = keep


class End:
    """Looks for the end of a value, minding strings. ``depth`` brackets are open already."""

    def __init__(self, depth: int = 0) -> None:
        self._depth = depth
        self._in_string = False
        self._skip = 0  # of the next piece, because a backslash ended the one before
        self._begun = depth > 0
        self.may_end = False

    def find(self, text: bytes) -> int | None:
        """The place behind the value, if it ends in ``text``, which continues what was seen before."""
        at = self._skip
        self._skip = 0
        if not self._begun and text:
            self._begun = True
            if text[0] not in b'"[{':
                self.may_end = True
        if self.may_end:
            found = _LITERAL_ENDS.search(text)
            return found.start() if found else None
        while True:
            found = (_STRING_MARKS if self._in_string else _MARKS).search(text, at)
            if found is None:
                self._skip = max(0, at - len(text))
                return None
            at = found.end()
            self._step(found[0])
            if found[0] == b"\\":
                at += 1
            elif not self._depth and not self._in_string:
                return at

    def _step(self, mark: bytes) -> None:
        if mark == b'"':
            self._in_string = not self._in_string
        elif mark in b"[{":
            self._depth += 1
        elif mark in b"]}":
            self._depth -= 1
