"""JSON from strangers: bounded depth, no key twice, no NaN or Infinity, and only Invalid when it is wrong."""

import json
import re
from collections.abc import Callable
from functools import cache
from typing import Any, NoReturn

from foedus.core.errors import Invalid

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_NO_MARKS = bytes(set(range(256)) - set(b'[]{}"'))
_QUOTE = ord('"')


def parse(text: bytes, *, max_depth: int, constant: Callable[[str], Any] | None = None) -> Any:
    """The value of a JSON document in UTF-8. ``constant``, if given, reads NaN, Infinity and -Infinity."""
    opened = text.count(b"[") + text.count(b"{")
    if opened > max_depth and (depth := _depth(text)) > max_depth:
        raise Invalid(f"the JSON is nested {depth} deep, {max_depth} is allowed")
    try:
        return json.loads(text.decode("utf-8"), object_pairs_hook=_object, parse_constant=constant or _refuse_constant)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise Invalid(f"this is not valid JSON: {exc}"[:300]) from exc
    except ValueError as exc:  # Python's own words for it tell how to configure Python
        raise Invalid("this is not valid JSON for us: an integer has thousands of digits") from exc


def _depth(text: bytes) -> int:
    """How deep brackets are nested, found without parsing: the parser itself would run out of stack."""
    import numpy as np  # for large documents alone: a command that reads a short answer need not wait for it

    steps = _steps()
    if b"\\" in text:
        text = _STRING.sub(b"", text)
    marks = np.frombuffer(text.translate(None, _NO_MARKS), np.uint8)
    depth, deepest, quotes = 0, 0, 0
    for start in range(0, marks.size, 1 << 20):
        block = marks[start : start + (1 << 20)]
        seen = np.cumsum(block == _QUOTE, dtype=np.int64)
        outside = (seen + quotes) % 2 == 0  # without escapes, text is what an odd number of quotes comes before
        heights = np.cumsum(steps[block] * outside, dtype=np.int64)
        deepest = max(deepest, depth + int(heights.max()))
        depth += int(heights[-1])
        quotes += int(seen[-1])
    return deepest


@cache
def _steps() -> Any:
    import numpy as np

    steps = np.zeros(256, np.int8)
    steps[list(b"[{")] = 1
    steps[list(b"]}")] = -1
    return steps


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise Invalid(f"the key {name[:80]!r} appears twice in a JSON object")
            seen.add(name)
    return result


def _refuse_constant(token: str) -> NoReturn:
    raise Invalid(f"{token} is not JSON; every number must be finite")
