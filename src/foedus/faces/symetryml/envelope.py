"""What every answer looks like: ``{"statusCode":"OK","statusString":"OK","values":{...}}``."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

MEDIA_TYPE = "application/json"


@dataclass(frozen=True, slots=True)
class Answer:
    """``text`` is what people read; without one it is the status in words."""

    values: Mapping[str, Any] = field(default_factory=dict)
    status: HTTPStatus = HTTPStatus.OK
    text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def rendered(self) -> bytes:
        """As JSON, in which NaN and infinities are written as clients of this dialect read them."""
        word = code_of(self.status)
        body = {"statusCode": word, "statusString": self.text or word, "values": self.values}
        return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode("utf-8", errors="replace")


def code_of(status: HTTPStatus) -> str:
    """The status in words: upper case, joined by underscores."""
    return status.phrase.upper().replace(" ", "_").replace("-", "_")
