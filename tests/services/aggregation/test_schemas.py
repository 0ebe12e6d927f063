"""Developers' schemas: sound when they are kept, bounded when they are used."""

import time

import pytest
from tests.services.aggregation.conftest import weights

from foedus.services.aggregation import schemas
from foedus.services.aggregation.errors import FieldInvalid

DOUBLING = {
    "$ref": "#/$defs/0",
    "$defs": {str(i): {"allOf": [{"$ref": f"#/$defs/{i + 1}"}] * 2} for i in range(40)} | {"40": True},
}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nope"}, "text", 5, {"items": [{}]}, {"$ref": "#/nowhere"}, {"$ref": "#"}, DOUBLING,
        {"$ref": "file:///etc/passwd"},
    ],
)  # fmt: skip
def test_what_is_no_usable_schema_is_refused(schema):
    with pytest.raises(FieldInvalid) as caught:
        schemas.check_schema("update_schema", schema)

    assert caught.value.field == "update_schema"


@pytest.mark.parametrize("schema", [None, True, {}, {"type": "object", "required": ["f1"]}, {"items": False}])
def test_sound_schemas_are_kept(schema):
    schemas.check_schema("update_schema", schema)


@pytest.mark.parametrize(
    ("schema", "data", "fits"),
    [
        ({"items": {"type": "number"}}, [1, 2], True),
        ({"items": {"type": "integer"}}, [1, 2], True),
        ({"items": {"type": "integer"}}, [1, 2.5], False),
        ({"items": {"maximum": 3}}, [1, 5], False),
        ({"type": "object"}, {"a": [1]}, True),
        ({"type": "array"}, {"a": [1]}, False),
        ({"type": "array"}, ["text", None], True),
        ({"items": {"type": "number"}}, ["text"], False),
        ({}, ["text"], True),
    ],
)
def test_weights_match_or_are_refused(ports, schema, data, fits):
    with weights(ports, data) as found:
        if fits:
            schemas.check_weights(schema, found)
        else:
            with pytest.raises(FieldInvalid, match="data did not match the required schema"):
                schemas.check_weights(schema, found)


def test_single_numbers_of_large_documents_are_not_looked_at(ports):
    data = [0.123456789] * 300_000
    with weights(ports, data) as found:
        schemas.check_weights({"type": "array", "maxItems": 300_000, "items": {"type": "number"}}, found)
        with pytest.raises(FieldInvalid, match="describe shapes alone"):
            schemas.check_weights({"items": {"maximum": 1}}, found)


@pytest.mark.parametrize(
    ("schema", "results"),
    [
        ({"uniqueItems": True}, [{"a": i} for i in range(5000)]),
        ({"pattern": "a*b*$"}, "a" * 100_000),
        ({"patternProperties": {"a*b*$": True}}, {"a" * 100_000: 1}),
        ({"items": {"allOf": [{"type": "integer"}] * 400}}, [1] * 5000),
    ],
)
def test_checks_end_soon_whatever_is_checked(schema, results):
    began = time.monotonic()

    with pytest.raises(FieldInvalid, match="takes too long"):
        schemas.check_results(schema, results)

    assert time.monotonic() - began < 20  # a second or two on an idle machine
