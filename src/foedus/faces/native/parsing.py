"""JSON on its way in: its type, its compression, its depth and its characters are checked before a schema sees it."""

import zlib
from math import isfinite
from typing import Any

from django.http import HttpRequest
from ninja.parser import Parser

from foedus.core.codecs import strict_json
from foedus.core.errors import Invalid, TooLarge
from foedus.faces.native.errors import Malformed, UnsupportedMediaType

MAX_BODY_BYTES = 1 << 20
MAX_DEPTH = 32
_GZIP = 16 + zlib.MAX_WBITS
_UTF_8 = ("", "utf-8", "utf8")


class StrictParser(Parser):
    """Takes ``application/json`` in UTF-8, plain or gzipped. The length of what is sent is Django's to limit."""

    def parse_body(self, request: HttpRequest) -> Any:
        """Raises Malformed, TooLarge, UnsupportedMediaType."""
        _check_type(request.content_type or "", (request.content_params or {}).get("charset", ""))
        return parse(_unpacked(request.body, request.headers.get("Content-Encoding", "")))


def parse(text: bytes) -> Any:
    """The JSON value in ``text``, if every database and every client can hold it. Raises Malformed."""
    try:
        value = strict_json.parse(text, max_depth=MAX_DEPTH)
    except Invalid as exc:
        raise Malformed(exc.message) from exc
    _check(value)
    return value


def _check_type(media_type: str, charset: str) -> None:
    if media_type.lower() != "application/json" or charset.strip('"').lower() not in _UTF_8:
        found = media_type[:80] or "missing"
        raise UnsupportedMediaType(f"Content-Type must be application/json in UTF-8, not {found}")


def _unpacked(data: bytes, encoding: str) -> bytes:
    match encoding.strip().lower():
        case "" | "identity":
            return data
        case "gzip":
            return _gunzip(data)
        case other:
            raise UnsupportedMediaType(f"Content-Encoding may be gzip, not {other[:80]}")


def _gunzip(data: bytes) -> bytes:
    unpacker = zlib.decompressobj(_GZIP)
    try:
        text = unpacker.decompress(data, MAX_BODY_BYTES + 1)
    except zlib.error:
        raise Malformed("the body is not gzip, though Content-Encoding says so") from None
    if len(text) > MAX_BODY_BYTES:
        raise TooLarge(f"a JSON body unfolds to at most {MAX_BODY_BYTES} bytes", limit_bytes=MAX_BODY_BYTES)
    if not unpacker.eof or unpacker.unused_data:
        raise Malformed("the gzip body is cut, or something follows it")
    return text


def _check(value: Any) -> None:
    """No number that became infinite, and no text that databases refuse."""
    match value:
        case str():
            _check_text(value)
        case float() if not isfinite(value):
            raise Malformed("every number must be finite")
        case list():
            for item in value:
                _check(item)
        case dict():
            for name, item in value.items():
                _check_text(name)
                _check(item)


def _check_text(text: str) -> None:
    if "\0" in text:
        raise Malformed("text must not contain the character U+0000")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise Malformed("text must not contain half of a surrogate pair") from None
