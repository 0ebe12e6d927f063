"""JSON Schema checked against shapes: whether lists of numbers fit, without a single number in memory.

Covers what generators of schemas for weights write: types, lengths, names, and the schemas of items and of named
values. Source: JSON Schema 2020-12, Core section 10.3 and Validation section 6.
"""

from collections.abc import Mapping
from typing import Any

from foedus.core.codecs.json import Form
from foedus.core.codecs.json_shapes import Structure

_COUNTS = frozenset({"minItems", "maxItems"})
_NOTES = ("$schema", "title", "description", "$comment")
_NAMED = ("properties", "required", "additionalProperties")
_KEYWORDS = _COUNTS | {"type", "prefixItems", "items", *_NAMED, *_NOTES}
MAX_STEPS = 2_000_000

Shape = tuple[int, ...]


class _TooMany(Exception):
    """More steps than a check may take."""


def is_structural(schema: Any) -> bool:
    """Whether the schema, and every schema in it, uses only the keywords known here, and soundly."""
    stack = [schema]
    while stack:
        part = stack.pop()
        if isinstance(part, bool):
            continue
        if not isinstance(part, dict) or not part.keys() <= _KEYWORDS or not _is_sound(part):
            return False
        stack.extend(part.get("prefixItems", ()))
        stack.extend(part.get("properties", {}).values())
        stack += [part.get("items", True), part.get("additionalProperties", True)]
    return True


def fits(schema: Any, structure: Structure) -> bool | None:
    """Whether numbers of that structure match a structural schema; None where their values would have to be seen."""
    shapes = [spec.shape for spec in structure.layout]
    check = _Check()
    try:
        if structure.form is Form.MAPPING:
            return check.names_match(schema, {spec.name: spec.shape for spec in structure.layout})
        if structure.form is Form.ARRAY:
            return check.matches(schema, shapes[0])
        return check.items_match(schema, shapes)
    except _TooMany:
        return None


class _Check:
    def __init__(self) -> None:
        self._left = MAX_STEPS

    def matches(self, schema: Any, shape: Shape) -> bool | None:
        self._step()
        if isinstance(schema, bool):
            return schema
        if not shape:
            return self._number(schema)
        if not _list_fits(schema, shape[0]):
            return False
        prefix = schema.get("prefixItems", [])[: shape[0]]
        parts = [*prefix, schema["items"]] if shape[0] > len(prefix) and "items" in schema else prefix
        return self._all(self.matches(part, shape[1:]) for part in parts)

    def items_match(self, schema: Any, shapes: list[Shape]) -> bool | None:
        """Whether a list of arrays of these shapes matches."""
        if isinstance(schema, bool):
            return schema
        if not _list_fits(schema, len(shapes)):
            return False
        prefix = schema.get("prefixItems", [])
        rest = schema.get("items", True)
        return self._all(self.matches(prefix[i] if i < len(prefix) else rest, shape) for i, shape in enumerate(shapes))

    def names_match(self, schema: Any, shapes: Mapping[str, Shape]) -> bool | None:
        """Whether an object of arrays of these shapes matches."""
        if isinstance(schema, bool):
            return schema
        if "object" not in _types(schema) or not set(schema.get("required", ())) <= shapes.keys():
            return False
        known, rest = schema.get("properties", {}), schema.get("additionalProperties", True)
        return self._all(self.matches(known.get(name, rest), shape) for name, shape in shapes.items())

    def _number(self, schema: dict[str, Any]) -> bool | None:
        types = _types(schema)
        if "number" in types:
            return True
        return None if "integer" in types else False

    def _all(self, answers: Any) -> bool | None:
        """False once one is; None when one is open."""
        result: bool | None = True
        for answer in answers:
            if answer is False:
                return False
            result = None if answer is None else result
        return result

    def _step(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise _TooMany


_ALL = ("array", "number", "object")


def _types(schema: dict[str, Any]) -> list[str] | tuple[str, ...]:
    named = schema.get("type", _ALL)
    return [named] if isinstance(named, str) else named


def _list_fits(schema: dict[str, Any], length: int) -> bool:
    return (
        "array" in _types(schema)
        and schema.get("minItems", 0) <= length
        and (schema.get("maxItems") is None or length <= schema["maxItems"])
    )


_NAMES = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})


def _is_sound(part: dict[str, Any]) -> bool:
    """Whether the values are such as the dialect asks for."""
    named = part.get("type", "array")
    types = [named] if isinstance(named, str) else named
    prefix = part.get("prefixItems")
    return (
        isinstance(types, list)
        and len(types) > 0
        and all(isinstance(name, str) and name in _NAMES for name in types)
        and len(set(types)) == len(types)
        and all(type(part[key]) is int and part[key] >= 0 for key in _COUNTS & part.keys())
        and (prefix is None or (isinstance(prefix, list) and len(prefix) > 0))
        and all(isinstance(part.get(key, ""), str) for key in _NOTES)
        and isinstance(part.get("properties", {}), dict)
        and _are_names(part.get("required", []))
    )


def _are_names(required: Any) -> bool:
    return (
        isinstance(required, list)
        and all(isinstance(name, str) for name in required)
        and len(set(required)) == len(required)
    )
