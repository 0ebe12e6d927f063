"""A developer's JSON Schemas: sound before they are kept, and cheap when they are used."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import referencing
from jsonschema import Draft202012Validator, SchemaError, ValidationError, validators
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from foedus.core.codecs import strict_json
from foedus.core.errors import Invalid
from foedus.core.schemas import bounds, shapes
from foedus.services.aggregation.errors import FieldInvalid
from foedus.services.aggregation.incoming import Weights

MAX_CHECKED_BYTES = 2 << 20  # of a document whose numbers have to be looked at one by one
MAX_COMPARED_ITEMS = 1_000  # of a list whose items must all differ: each is compared to each
MAX_STEPS = 300_000  # keywords looked at for one document: about a second
_SHOWN = 4096  # characters of a schema in an error
_MAX_JSON_DEPTH = 64


class _TooLong(Exception):
    """A check took more steps than it may."""


def check_schema(field: str, schema: Any) -> None:
    """Raise FieldInvalid unless this is a schema of the dialect 2020-12 that can be checked in bounded time."""
    if schema is None or shapes.is_structural(schema):
        return
    if not isinstance(schema, dict):
        raise FieldInvalid(field, "A JSON Schema is an object.")
    try:
        bounds.check_bounded(schema)
        Draft202012Validator.check_schema(schema)
        resource = DRAFT202012.create_resource(schema)
        resolver = referencing.Registry().with_resource("", resource).resolver()
        for reference in bounds.references(schema):
            resolver.lookup(reference)
        _validator(schema).is_valid([])
    except SchemaError as exc:
        raise FieldInvalid(field, f"This is not a valid JSON Schema (2020-12): {exc.message}"[:500]) from exc
    except Invalid as exc:
        raise FieldInvalid(field, f"This JSON Schema cannot be used: {exc.message}."[:500]) from exc
    except Unresolvable as exc:
        raise FieldInvalid(field, f"This JSON Schema refers to what is not in it: {exc}"[:500]) from exc
    except (_TooLong, RecursionError) as exc:
        raise FieldInvalid(field, "This JSON Schema goes in circles.") from exc


def check_weights(schema: Any, weights: Weights) -> None:
    """Raise FieldInvalid unless the weights match. Numbers in lists are checked by their shapes where that decides."""
    if not schema:
        return
    if weights.structure is not None and shapes.is_structural(schema):
        answer = shapes.fits(schema, weights.structure)
        if answer is not None:
            if not answer:
                raise _mismatch("data", "data", schema)
            return
    text = None if weights.is_binary else weights.first_bytes(MAX_CHECKED_BYTES)
    if text is None:
        raise FieldInvalid(
            "data",
            "update_schema looks at single numbers, which is done for JSON documents of at most"
            f" {MAX_CHECKED_BYTES} bytes; describe shapes alone (type, prefixItems, items, minItems, maxItems).",
        )
    _check("data", "data", schema, strict_json.parse(text, max_depth=_MAX_JSON_DEPTH))


def check_results(schema: Any, results: Any) -> None:
    """Raise FieldInvalid, under the name ``results``, unless a client's results match."""
    if schema:
        _check("results", "results", schema, results)


def _check(field: str, word: str, schema: Any, value: Any) -> None:
    try:
        valid = _validator(schema).is_valid(value)
    except (_TooLong, RecursionError):
        raise FieldInvalid(field, f"{word} takes too long to be checked against the required schema.") from None
    except Unresolvable as exc:
        raise FieldInvalid(field, f"the required schema refers to what is not in it: {exc}"[:500]) from exc
    if not valid:
        raise _mismatch(field, word, schema)


def _mismatch(field: str, word: str, schema: Any) -> FieldInvalid:
    shown = repr(schema)
    return FieldInvalid(
        field, f"{word} did not match the required schema: {shown if len(shown) <= _SHOWN else shown[:_SHOWN] + '…'}"
    )


def _validator(schema: Any) -> Any:
    """A validator that fetches nothing, counts its steps and matches no long text."""
    left = MAX_STEPS

    def counted(keyword: Callable[..., Iterator[ValidationError] | None]) -> Callable[..., Any]:
        def check(validator: Any, value: Any, instance: Any, schema: Any) -> Any:
            nonlocal left
            left -= 1 + (len(instance) if isinstance(instance, list | dict) else 0) // 8
            if left < 0:
                raise _TooLong
            return keyword(validator, value, instance, schema)

        return check

    plain = Draft202012Validator.VALIDATORS
    keywords = {name: counted(check) for name, check in {**plain, **_guarded(plain)}.items()}
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
