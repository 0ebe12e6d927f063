"""Models in the forms that FMA knows."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from jsonschema import Draft202012Validator
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression, SGDClassifier
from sklearn.neural_network import MLPClassifier

from foedus.core.errors import Invalid
from foedus.core.schemas import shapes
from foedus.sdk import schema_of
from foedus.sdk.fma.weights import arranged, fill, listed, weights_of

ROWS, LABELS = load_iris(return_X_y=True)
tensors = arrays(np.float64, array_shapes(max_dims=3, max_side=3) | st.just(()), elements=st.floats(-9, 9))
models = tensors | st.lists(tensors, min_size=1, max_size=3) | st.dictionaries(st.text(min_size=1), tensors, min_size=1)


def parts(weights):
    return list(weights.values()) if isinstance(weights, dict) else weights if isinstance(weights, list) else [weights]


@given(models)
def test_a_models_own_weights_match_its_schema_in_both_kinds_of_check(model):
    schema = schema_of(model)

    assert Draft202012Validator(schema).is_valid(listed(weights_of(model)))
    assert shapes.is_structural(schema)


@given(st.lists(tensors, min_size=2, max_size=3))
def test_fewer_layers_or_other_shapes_do_not_match(model):
    validator = Draft202012Validator(schema_of(model))
    values = listed(weights_of(model))

    assert not validator.is_valid(values[:-1])
    assert not validator.is_valid([*values, 1.0])
    assert not validator.is_valid([*values[:-1], [values[-1]]])


@given(models)
def test_weights_are_arranged_as_the_model_whatever_json_made_of_them(model):
    read = json.loads(json.dumps(listed(weights_of(model))))
    found = {name: np.asarray(part) for name, part in read.items()} if isinstance(read, dict) else read
    if isinstance(model, list) and len({part.shape for part in model}) == 1:
        found = np.asarray(read)  # layers of one shape look like one array
    elif not isinstance(read, dict):
        found = [np.asarray(part) for part in read] if isinstance(model, list) else np.asarray(read)

    for part, expected in zip(parts(arranged(found, model)), parts(weights_of(model)), strict=True):
        np.testing.assert_array_equal(part, expected)


@pytest.mark.parametrize(
    ("found", "like"),
    [
        (np.zeros(3), [np.zeros(2)]), (np.zeros(()), [np.zeros(2)]), ([np.zeros(2)], np.zeros(2)),
        ({"a": np.zeros(2)}, [np.zeros(2)]), ({"a": np.zeros(2)}, {"b": np.zeros(2)}),
        (np.zeros(2), {"a": np.zeros(2)}), ([np.zeros(2), np.zeros(3)], [np.zeros(2), np.zeros(2)]),
    ],
)  # fmt: skip
def test_weights_of_another_model_are_refused(found, like):
    with pytest.raises(Invalid):
        arranged(found, like)


def test_dtypes_are_the_models():
    (found,) = arranged([np.array([1.5])], [np.zeros(1, np.float32)])

    assert found.dtype == np.float32


@pytest.mark.parametrize(
    "estimator",
    [SGDClassifier(random_state=1), LinearRegression(), MLPClassifier((4,), max_iter=1, random_state=1)],
    ids=lambda estimator: type(estimator).__name__,
)
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")  # one pass is enough to have weights
def test_an_estimator_that_is_filled_predicts_as_the_one_the_weights_are_of(estimator):
    trained = estimator.fit(ROWS, LABELS)
    weights = [part.copy() for part in weights_of(trained)]
    expected = trained.predict(ROWS)
    other = type(estimator)(**estimator.get_params()).fit(ROWS[::7], LABELS[::7])
    assert not np.array_equal(weights_of(other)[0], weights[0])

    fill(other, weights)

    np.testing.assert_array_equal(other.predict(ROWS), expected)


@pytest.mark.parametrize(
    "model",
    ["text", None, SGDClassifier(), [np.array(["a"])], {"a": [1, None]}, np.array([np.nan]), [np.array([])], [True]],
)
def test_what_holds_no_weights_is_refused(model):
    with pytest.raises(Invalid):
        weights_of(model)
