"""Answers as frozen dataclasses, read tolerantly: what is not known is ignored, what is missing takes its default."""

import dataclasses
import functools
import types
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self, Union, get_args, get_origin, get_type_hints

from foedus.sdk.problems import BadAnswer


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """Base of everything a server tells. ``of`` raises BadAnswer for a value of another shape."""

    @classmethod
    def of(cls, value: Any) -> Self:
        if not isinstance(value, Mapping):
            raise BadAnswer(f"expected {cls.__name__} as a JSON object, found {str(value)[:80]!r}")
        kinds = _kinds(cls)  # type: ignore[arg-type]  # mypy doubts that a class can be hashed
        given = {name: _read(f"{cls.__name__}.{name}", kind, value[name]) for name, kind in kinds if name in value}
        try:
            return cls(**given)
        except TypeError as exc:  # a field without a default is missing
            raise BadAnswer(f"an answer lacks a field: {exc}") from exc


@functools.cache
def _kinds(cls: type[Answer]) -> tuple[tuple[str, Any], ...]:
    hints = get_type_hints(cls)
    return tuple((field.name, hints[field.name]) for field in dataclasses.fields(cls))


def _read(where: str, kind: Any, value: Any) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return None if value is None else _read(where, next(k for k in inner if k is not types.NoneType), value)
    if origin is tuple and isinstance(value, list):
        return tuple(_read(where, inner[0], item) for item in value)
    if isinstance(kind, type) and issubclass(kind, Answer):
        return kind.of(value)
    if kind is datetime and isinstance(value, str):
        return _moment(where, value)
    if (kind is float or kind is str) and type(value) is int:
        return kind(value)  # ids may be numbers on the wire
    if kind is Any or (origin or kind) is type(value) or (origin is Mapping and isinstance(value, dict)):
        return value
    raise BadAnswer(f"{where} cannot be {str(value)[:80]!r}")


def _moment(where: str, text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as exc:
        raise BadAnswer(f"{where} is not a time: {text[:80]!r}") from exc
