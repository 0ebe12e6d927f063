"""What is kept beside statistics as bytes: the same is the same bytes, and nothing in them is executed.

JSON without blanks: {"format": "foedus-beside", "version": 1, "summaries": {name: {field: value}}, "window": [...]}.
Arrays are {"f8": Base64 of little-endian float64, "shape": [...]}; the blocks of a window Base64 of statistics.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from math import prod
from typing import Any

import numpy as np

from foedus.core.codecs import strict_json
from foedus.core.companions.declared import Declared
from foedus.core.errors import Invalid, TooLarge
from foedus.core.options import construct
from foedus.core.statistics import Statistics
from foedus.core.statistics import decode as decode_statistics
from foedus.core.statistics import encode as encode_statistics

FORMAT = "foedus-beside"
VERSION = 1
MAX_BYTES = 1 << 30
_MAX_DEPTH = 20


@dataclass(frozen=True, slots=True)
class Beside:
    """Summaries by the name of their companion, and the blocks of a window, the latest last."""

    summaries: Mapping[str, Any] = field(default_factory=dict)
    window: tuple[Statistics, ...] = ()

    @classmethod
    def empty(cls, declared: Declared) -> "Beside":
        return cls({name: companion.empty() for name, companion in declared.companions.items()})


def encode(beside: Beside) -> bytes:
    """Nothing, for nothing."""
    if not beside.summaries and not beside.window:
        return b""
    document = {
        "format": FORMAT,
        "version": VERSION,
        "summaries": {name: _plain(beside.summaries[name]) for name in sorted(beside.summaries)},
        "window": [base64.b64encode(encode_statistics(block)).decode() for block in beside.window],
    }
    return json.dumps(document, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def decode(data: bytes, declared: Declared, *, foreign: bool = True) -> Beside:
    """What ``encode`` wrote of a project that was declared so. Raises Invalid for anything else."""
    if not data:
        return Beside.empty(declared)
    if len(data) > MAX_BYTES:
        raise TooLarge(f"summaries have at most {MAX_BYTES} bytes, these {len(data)}")
    match strict_json.parse(data, max_depth=_MAX_DEPTH):
        case {"format": "foedus-beside", "version": 1, "summaries": dict(summaries), "window": list(window)}:
            if summaries.keys() != declared.companions.keys() or (window and declared.window is None):
                raise Invalid("these summaries are not those that the project was declared with")
            found = {
                name: construct(declared.companions[name].kind, _arrays(values), name)
                for name, values in summaries.items()
            }
            return Beside(found, tuple(decode_statistics(_bytes(block), foreign=foreign) for block in window))
    raise Invalid("these are no summaries of a project: format, version, summaries or window is missing")


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value) if each.init}
    if isinstance(value, np.ndarray):
        array = np.ascontiguousarray(value, dtype="<f8")
        return {"f8": base64.b64encode(array.tobytes()).decode(), "shape": list(array.shape)}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value


def _arrays(value: Any) -> Any:
    """A value in which arrays are arrays again."""
    match value:
        case {"f8": str(text), "shape": list(shape)} if len(value) == 2:
            data = _bytes(text)
            if not all(type(size) is int and size >= 0 for size in shape) or 8 * prod(shape) != len(data):
                raise Invalid("an array of these summaries is not of the shape that it is said to be")
            return np.frombuffer(data, dtype="<f8").reshape(shape).astype(np.float64)
        case dict():
            return {key: _arrays(item) for key, item in value.items()}
        case list():
            return [_arrays(item) for item in value]
    return value


def _bytes(text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise Invalid("these summaries are damaged") from None
