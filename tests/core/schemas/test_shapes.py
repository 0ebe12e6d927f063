"""Schemas checked against shapes say what a validator says of the numbers themselves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from foedus.core.arrays import Layout, TensorSpec
from foedus.core.codecs.json import Form
from foedus.core.codecs.json_shapes import Structure
from foedus.core.schemas import shapes

sizes = st.integers(1, 3)
a_shape = st.lists(sizes, max_size=3).map(tuple)
leaves = st.sampled_from(
    [True, False, {}, {"type": "number"}, {"type": "array"}, {"type": ["number", "array"]}, {"type": "string"}]
)
schemas = st.recursive(
    leaves,
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["array", "number", ["array", "null"]]),
            "minItems": st.integers(0, 3),
            "maxItems": st.integers(0, 3),
            "prefixItems": st.lists(inner, min_size=1, max_size=3),
            "items": inner,
        },
    ),
    max_leaves=6,
)


@given(schemas, a_shape)
def test_an_array_fits_as_a_validator_says(schema, shape):
    expected = Draft202012Validator(schema).is_valid(np.zeros(shape).tolist())

    assert shapes.is_structural(schema)
    assert shapes.fits(schema, Structure.array(shape)) is expected


@given(schemas, st.lists(a_shape, min_size=1, max_size=3))
def test_layers_fit_as_a_validator_says(schema, layers):
    expected = Draft202012Validator(schema).is_valid([np.zeros(shape).tolist() for shape in layers])

    assert shapes.fits(schema, Structure.layers(layers)) is expected


names = st.sampled_from("abc")


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["object", "array", ["object", "null"]]),
            "properties": st.dictionaries(names, schemas),
            "required": st.lists(names, unique=True),
            "additionalProperties": schemas,
            "items": schemas,
        },
    ),
    st.dictionaries(names, a_shape, min_size=1),
)
def test_named_arrays_fit_as_a_validator_says(schema, arrays):
    expected = Draft202012Validator(schema).is_valid({name: np.zeros(shape).tolist() for name, shape in arrays.items()})
    specs = tuple(TensorSpec(name, shape, "float64") for name, shape in arrays.items())

    assert shapes.is_structural(schema)
    assert shapes.fits(schema, Structure(Form.MAPPING, Layout(specs))) is expected


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nope"}, {"type": []}, {"type": 1}, {"minItems": -1}, {"maxItems": True}, {"minItems": "1"},
        {"prefixItems": []}, {"prefixItems": {}}, {"items": [{}]}, {"items": "x"}, {"maximum": 1}, {"$ref": "#"},
        {"items": {"items": {"const": 1}}}, "text", None, 1, {"properties": []}, {"properties": {"a": 1}},
        {"required": "a"}, {"required": ["a", "a"]}, {"required": [1]}, {"additionalProperties": {"const": 1}},
    ],
)  # fmt: skip
def test_whatever_else_a_schema_says_is_left_to_a_validator(schema):
    assert not shapes.is_structural(schema)


def test_where_integers_are_asked_for_the_numbers_must_be_seen():
    assert shapes.fits({"items": {"type": "integer"}}, Structure.array((2,))) is None
    assert shapes.fits({"maxItems": 1, "items": {"type": "integer"}}, Structure.array((2,))) is False


def test_a_schema_of_a_hundred_thousand_rows_is_checked_row_by_row():
    row = {"type": "array", "minItems": 4, "maxItems": 4, "items": {"type": "number"}}
    schema = {"type": "array", "prefixItems": [row] * 100_000, "items": False}

    assert shapes.fits(schema, Structure.array((100_000, 4))) is True
    assert shapes.fits(schema, Structure.array((100_001, 4))) is False
