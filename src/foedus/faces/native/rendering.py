"""JSON on its way out: times in UTC as ISO 8601 with a Z."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


def to_json(data: Any) -> bytes:
    """Compact JSON. Raises ValueError for numbers that JSON does not have."""
    return json.dumps(data, default=_default, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def plain(value: Any, max_characters: int) -> Any:
    """``value`` as something that JSON has, with every text cut to ``max_characters``."""
    match value:
        case None | bool() | int():
            return value
        case float():
            return value if value - value == 0 else str(value)  # infinity and NaN are not JSON
        case str():
            return value[:max_characters]
        case Mapping():
            return {str(name)[:max_characters]: plain(item, max_characters) for name, item in value.items()}
        case list() | tuple():
            return [plain(item, max_characters) for item in value]
        case _:
            return str(value)[:max_characters]


def _default(value: Any) -> Any:
    if isinstance(value, datetime):
        return iso(value)
    raise TypeError(f"{type(value).__name__} has no JSON form here")
