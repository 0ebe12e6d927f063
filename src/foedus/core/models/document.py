"""Models as JSON, for keeping and for export: no code, strict types, bounded size.

{"format": "foedus-model", "version": 1, "algorithm": "mlr", "model": {field: value, ...}}
"""

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from math import isfinite
from typing import Any

import numpy as np

from foedus.core import registry
from foedus.core.codecs import strict_json
from foedus.core.errors import Invalid, TooLarge
from foedus.core.models.model import GROUP, SUMMARIES, WRAPPERS
from foedus.core.options import construct

FORMAT = "foedus-model"
VERSION = 1
MAX_BYTES = 256 << 20
_MAX_DEPTH = 40


def encode(algorithm: str, model: Any) -> bytes:
    """The same model is the same bytes. Raises Invalid for numbers that are not finite."""
    document = {"format": FORMAT, "version": VERSION, "algorithm": algorithm, "model": _plain(model)}
    return json.dumps(document, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def decode(data: bytes) -> tuple[str, Any]:
    """The algorithm and the model. Raises Invalid (also Unregistered) for what ``encode`` would not have written."""
    if len(data) > MAX_BYTES:
        raise TooLarge(f"a model has at most {MAX_BYTES} bytes, this one {len(data)}")
    document = strict_json.parse(data, max_depth=_MAX_DEPTH)
    match document:
        case {"format": "foedus-model", "version": version, "algorithm": str(algorithm), "model": dict(values)}:
            if type(version) is not int or version != VERSION:
                raise Invalid(f"this model has version {str(version)[:20]}, version {VERSION} can be read")
            if len(document) != 4:
                raise Invalid("this is not a model: it has fields that no model has")
            group = next((g for g in (SUMMARIES, WRAPPERS) if algorithm in registry.names(g)), GROUP)
            return algorithm, construct(registry.load(group, algorithm).fitted, values, algorithm)
    raise Invalid("this is not a model: format, version, algorithm or model is missing")


def _plain(value: Any) -> Any:
    """A value of a model as JSON has it."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value) if f.init}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not isfinite(value):
        raise Invalid("a number of this model is not finite, so it cannot be kept")
    return value
