"""JSON on its way out; weights in it are written piece by piece."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.http import HttpResponse, StreamingHttpResponse

from foedus.services.aggregation.files import Pieces

MEDIA_TYPE = "application/json"


def to_json(value: Any) -> bytes:
    """Compact JSON. Raises ValueError for numbers that JSON does not have."""
    return json.dumps(value, default=_default, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def answer(value: Any, status: int = 200) -> HttpResponse:
    return HttpResponse(to_json(value), status=status, content_type=MEDIA_TYPE)


def answer_with(before: dict[str, Any], name: str, pieces: Pieces, after: dict[str, Any]) -> StreamingHttpResponse:
    """One object: some fields, the weights under ``name``, and other fields."""
    opening = to_json(before)[:-1] + (b"," if before else b"") + to_json(name) + b":"
    closing = (b"," if after else b"") + to_json(after)[1:]
    return StreamingHttpResponse(_Framed(opening, pieces, closing), content_type=MEDIA_TYPE)


class _Framed:
    """Pieces with something before and behind; closing it closes them."""

    def __init__(self, opening: bytes, pieces: Pieces, closing: bytes) -> None:
        self._parts = opening, pieces, closing

    def __iter__(self) -> Iterator[bytes]:
        opening, pieces, closing = self._parts
        yield opening
        yield from pieces
        yield closing

    def close(self) -> None:
        self._parts[1].close()


def _default(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form here")
