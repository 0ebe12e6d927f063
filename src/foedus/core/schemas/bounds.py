"""What a stranger's JSON Schema may cost: its size, its references, its regular expressions."""

import re
from collections.abc import Iterator
from typing import Any

from foedus.core.errors import Invalid

MAX_DEPTH = 40
MAX_NODES = 5_000  # values of a schema that is more than a description of shapes
MAX_PATTERN_CHARACTERS = 200
MAX_MATCHED_CHARACTERS = 300
_MAX_OPEN_REPEATS = 2
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
# Escapes, classes and groups are looked at as units, so that what is inside of a class counts for nothing.
_UNITS = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?|[()|*+?]|\{\d*(?:,\d*)?\}", re.DOTALL)


def check_bounded(schema: Any) -> None:
    """Raise Invalid for a schema that names another document, or whose check could take very long."""
    for count, (key, value, depth) in enumerate(_walk(schema)):
        if count >= MAX_NODES:
            raise Invalid(f"the schema has more than {MAX_NODES} values")
        if depth > MAX_DEPTH:
            raise Invalid(f"the schema is nested more than {MAX_DEPTH} deep")
        if key in _REFERENCES and isinstance(value, str) and not value.startswith("#"):
            raise Invalid(f"{key} may point into the schema itself only (#...), not to {value[:100]!r}")
        if key in ("$id", "$vocabulary"):
            raise Invalid(f"{key} is not allowed in a schema here")
        if key == "pattern" and isinstance(value, str):
            check_pattern(value)
        if key == "patternProperties" and isinstance(value, dict):
            for pattern in value:
                check_pattern(pattern)


def references(schema: Any) -> Iterator[str]:
    """Every reference in a schema."""
    for key, value, _ in _walk(schema):
        if key in _REFERENCES and isinstance(value, str):
            yield value


def check_pattern(pattern: str) -> None:
    """Raise Invalid for a regular expression that might take long: nested or many repeats, and looking back."""
    if len(pattern) > MAX_PATTERN_CHARACTERS:
        raise Invalid(f"a pattern has at most {MAX_PATTERN_CHARACTERS} characters")
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as exc:
        raise Invalid(f"pattern {pattern!r} is no regular expression: {exc}") from exc
    repeats, after_group = 0, False
    for unit in _UNITS.findall(pattern):
        is_repeat = unit in ("*", "+") or unit.startswith("{")
        if (is_repeat and after_group) or unit == "(?" or (unit[0] == "\\" and unit[1].isdecimal()):
            raise Invalid(
                f"pattern {pattern!r} repeats a group, refers back or looks around, which is not allowed here"
            )
        repeats += is_repeat
        after_group = unit == ")"
    if repeats > _MAX_OPEN_REPEATS:
        raise Invalid(f"pattern {pattern!r} repeats more than {_MAX_OPEN_REPEATS} things")


def _walk(value: Any) -> Iterator[tuple[str, Any, int]]:
    """Every value of a JSON document with the key it stands under (empty in lists) and its depth."""
    stack: list[tuple[str, Any, int]] = [("", value, 0)]
    while stack:
        key, part, depth = stack.pop()
        yield key, part, depth
        if isinstance(part, dict):
            stack.extend((name, inner, depth + 1) for name, inner in part.items())
        elif isinstance(part, list):
            stack.extend(("", inner, depth + 1) for inner in part)
