"""Strangers' schemas are refused before they can cost anything."""

import pytest

from foedus.core.errors import Invalid
from foedus.core.schemas import bounds


def nested(depth):
    schema = {}
    for _ in range(depth):
        schema = {"not": schema}
    return schema


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"$ref": "http://example.org/x"}, "into the schema itself only"),
        ({"properties": {"a": {"$dynamicRef": "other.json#x"}}}, "into the schema itself only"),
        ({"$id": "http://example.org"}, "is not allowed"),
        (nested(bounds.MAX_DEPTH + 1), "deep"),
        ({"enum": list(range(bounds.MAX_NODES))}, "values"),
        ({"pattern": "(a+)+$"}, "repeats a group"),
        ({"pattern": r"(a|b)*\1"}, "repeats a group"),
        ({"pattern": "(?=a)"}, "looks around"),
        ({"pattern": "(a"}, "no regular expression"),
        ({"pattern": "a*b*c*"}, "repeats more than"),
        ({"pattern": "x" * 201}, "at most 200"),
        ({"patternProperties": {"(a*)*": {}}}, "repeats a group"),
    ],
)
def test_what_could_cost_too_much_is_refused(schema, reason):
    with pytest.raises(Invalid, match=reason):
        bounds.check_bounded(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/$defs/a", "$defs": {"a": {"type": "number"}}},
        {"properties": {"$ref": {"type": "string"}}},
        {"pattern": r"^[a-z(+*]{2,5}\d+$"},
        {"pattern": "^(ab|cd)$"},
        nested(10),
        True,
    ],
)
def test_ordinary_schemas_pass(schema):
    bounds.check_bounded(schema)


def test_references_are_found_wherever_they_stand():
    assert set(bounds.references({"a": [{"$ref": "#x"}], "$dynamicRef": "#y"})) == {"#x", "#y"}
