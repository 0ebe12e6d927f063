"""A developer's JSON Schemas: sound before they are kept, and cheap when they are used."""

from typing import Any

from foedus.core.codecs import strict_json
from foedus.core.errors import Invalid
from foedus.core.schemas import shapes
from foedus.services.aggregation.errors import FieldInvalid
from foedus.services.aggregation.incoming import Weights

MAX_CHECKED_BYTES = 2 << 20  # of a document whose numbers have to be looked at one by one
_SHOWN = 4096  # characters of a schema in an error
_MAX_JSON_DEPTH = 64


def check_schema(field: str, schema: Any) -> None:
    """Raise FieldInvalid unless this is a schema of the dialect 2020-12 that can be checked in bounded time."""
    if schema is None or shapes.is_structural(schema):
        return
    if not isinstance(schema, dict):
        raise FieldInvalid(field, "A JSON Schema is an object.")
    from foedus.services.aggregation.validating import check_sound  # most models have no schema

    try:
        check_sound(schema)
    except Invalid as exc:
        raise FieldInvalid(field, exc.message[:500]) from exc


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
    from foedus.services.aggregation.validating import fits

    try:
        valid = fits(schema, value)
    except Invalid as exc:
        raise FieldInvalid(field, f"{word} {exc.message}."[:500]) from exc
    if not valid:
        raise _mismatch(field, word, schema)


def _mismatch(field: str, word: str, schema: Any) -> FieldInvalid:
    shown = repr(schema)
    return FieldInvalid(
        field, f"{word} did not match the required schema: {shown if len(shown) <= _SHOWN else shown[:_SHOWN] + '…'}"
    )
