"""The words of a rule, with their positions."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite

from foedus.core.errors import Invalid


class TokenKind(StrEnum):
    WORD = "word"
    OPEN = "("
    CLOSE = ")"
    COMMA = ","
    COMPARISON = "comparison"
    NUMBER = "number"
    END = "end"


@dataclass(frozen=True, slots=True)
class Token:
    """``position`` counts characters from 1."""

    kind: TokenKind
    text: str
    position: int


_PATTERNS = (
    (TokenKind.NUMBER, re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")),
    (TokenKind.WORD, re.compile(r"[A-Za-z_]+")),
    (TokenKind.COMPARISON, re.compile(r"[<>]=?|==|!=")),
    (TokenKind.OPEN, re.compile(r"\(")),
    (TokenKind.CLOSE, re.compile(r"\)")),
    (TokenKind.COMMA, re.compile(r",")),
)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*+)"')
_BARE = re.compile(r'[^,()"#]+')
_ESCAPE = re.compile(r"\\(.)")


class Scanner:
    """Reads a rule from left to right. ``mistake_at`` makes the error for a position."""

    def __init__(self, text: str, mistake_at: Callable[[int, str], Invalid]) -> None:
        self._text = text
        self._mistake_at = mistake_at
        self._place = 0
        self._skip_spaces()

    @property
    def spoken(self) -> str:
        """What was read so far, without spaces around it and without a comment."""
        return self._text[: self._place].strip()

    def at_end(self) -> bool:
        return self._place >= len(self._text) or self._text[self._place] == "#"

    def mistake(self, complaint: str, at: Token | None = None) -> Invalid:
        return self._mistake_at(at.position if at else self._place + 1, complaint)

    def take(self, kind: TokenKind) -> Token | None:
        """The next token, if it is of this kind."""
        token, after = self._peek()
        if token.kind is not kind:
            return None
        self._place = after
        self._skip_spaces()
        return token

    def take_word(self, word: str) -> bool:
        token, _ = self._peek()
        if token.text.upper() != word:
            return False
        return self.take(TokenKind.WORD) is not None

    def expect(self, kind: TokenKind, wanted: str) -> Token:
        token = self.take(kind)
        if token is None:
            found, _ = self._peek()
            shown = repr(found.text) if found.text else "the end of the line"
            raise self.mistake(f"{wanted} is expected here, not {shown}")
        return token

    def name(self) -> Token:
        """An attribute's name, quoted or not."""
        start = self._place
        if quoted := _QUOTED.match(self._text, start):
            text, self._place = _ESCAPE.sub(r"\1", quoted[1]), quoted.end()
        elif bare := _BARE.match(self._text, start):
            text, self._place = bare[0].strip(), bare.end()
        else:
            text = ""
        self._skip_spaces()
        if not text:
            raise self._mistake_at(start + 1, "the name of an attribute is expected here")
        return Token(TokenKind.WORD, text, start + 1)

    def number(self) -> float:
        token = self.expect(TokenKind.NUMBER, "a number")
        value = float(token.text)
        if not isfinite(value):
            raise self.mistake(f"{token.text[:40]} is too large a number", token)
        return value

    def _peek(self) -> tuple[Token, int]:
        place = self._place
        if self.at_end():
            return Token(TokenKind.END, "", place + 1), place
        for kind, pattern in _PATTERNS:
            if match := pattern.match(self._text, place):
                return Token(kind, match[0], place + 1), match.end()
        return Token(TokenKind.END, self._text[place], place + 1), place

    def _skip_spaces(self) -> None:
        while self._place < len(self._text) and self._text[self._place].isspace():
            self._place += 1
