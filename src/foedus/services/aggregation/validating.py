"""JSON Schema as ``jsonschema`` knows it, in bounded time. ``schemas`` imports this when a model has a schema."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import referencing
from jsonschema import Draft202012Validator, SchemaError, ValidationError, validators
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from foedus.core.errors import Invalid
from foedus.core.schemas import bounds

MAX_COMPARED_ITEMS = 1_000  # of a list whose items must all differ: each is compared to each
MAX_STEPS = 300_000  # keywords looked at for one document: about a second
_REFERENCES = {"$ref": 5, "$dynamicRef": 5}  # what following one costs, in such steps
MAX_NESTING = 250  # of keywords within keywords; Python's own bound may be so high that the stack ends before it


class _TooLong(Exception):
    """A check took more steps than it may."""


def check_sound(schema: Any) -> None:
    """Raise Invalid, with a sentence, unless this is a schema that can be checked in bounded time."""
    try:
        bounds.check_bounded(schema)
        Draft202012Validator.check_schema(schema)
        resource = DRAFT202012.create_resource(schema)
        resolver = referencing.Registry().with_resource("", resource).resolver()
        for reference in bounds.references(schema):
            resolver.lookup(reference)
        _validator(schema).is_valid([])
    except SchemaError as exc:
        raise Invalid(f"This is not a valid JSON Schema (2020-12): {exc.message}") from exc
    except Invalid as exc:
        raise Invalid(f"This JSON Schema cannot be used: {exc.message}.") from exc
    except Unresolvable as exc:
        raise Invalid(f"This JSON Schema refers to what is not in it: {exc}") from exc
    except (_TooLong, RecursionError) as exc:
        raise Invalid("This JSON Schema goes in circles.") from exc


def fits(schema: Any, value: Any) -> bool:
    """Whether a value matches. Raises Invalid where that takes too long, or the schema refers to what is not in it."""
    try:
        return bool(_validator(schema).is_valid(value))
    except (_TooLong, RecursionError):
        raise Invalid("takes too long to be checked against the required schema") from None
    except Unresolvable as exc:
        raise Invalid(f"cannot be checked: the required schema refers to what is not in it: {exc}") from exc


def _validator(schema: Any) -> Any:
    """A validator that fetches nothing, counts its steps and matches no long text."""
    left, nesting = MAX_STEPS, 0

    def counted(keyword: Callable[..., Iterator[ValidationError] | None], steps: int) -> Callable[..., Any]:
        def check(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
            nonlocal left, nesting
            left -= steps + (len(instance) if isinstance(instance, list | dict) else 0) // 8
            if left < 0 or nesting >= MAX_NESTING:
                raise _TooLong
            nesting += 1
            try:
                yield from keyword(validator, value, instance, schema) or ()
            finally:
                nesting -= 1

        return check

    plain = Draft202012Validator.VALIDATORS
    keywords = {name: counted(check, _REFERENCES.get(name, 1)) for name, check in {**plain, **_guarded(plain)}.items()}
    extended = validators.extend(Draft202012Validator, keywords)
    return extended(schema, registry=referencing.Registry())


def _guarded(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Keywords whose cost grows faster than their input, for small inputs only."""

    def pattern(validator: Any, value: Any, instance: Any, schema: Any) -> Any:
        return _short(plain["pattern"], [instance])(validator, value, instance, schema)

    def pattern_properties(validator: Any, value: Any, instance: Any, schema: Any) -> Any:
        names = instance if isinstance(instance, dict) else ()
        return _short(plain["patternProperties"], names)(validator, value, instance, schema)

    def unique_items(validator: Any, value: Any, instance: Any, schema: Any) -> Any:
        if value and isinstance(instance, list) and len(instance) > MAX_COMPARED_ITEMS:
            raise _TooLong
        return plain["uniqueItems"](validator, value, instance, schema)

    return {"pattern": pattern, "patternProperties": pattern_properties, "uniqueItems": unique_items}


def _short(keyword: Any, texts: Iterable[Any]) -> Any:
    if any(isinstance(text, str) and len(text) > bounds.MAX_MATCHED_CHARACTERS for text in texts):
        raise _TooLong
    return keyword
