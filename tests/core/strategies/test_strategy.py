import numpy as np
import pytest
from tests.core.generated import bits
from tests.core.strategies.rounds import model

from foedus.core.arrays import MAX_NAME_CHARACTERS, Arrays
from foedus.core.errors import Invalid
from foedus.core.strategies.strategy import State


def test_a_state_is_one_file_of_tensors_with_prefixes():
    state = State(Arrays({"a/b": np.ones(2)}), {"m": Arrays({"a/b": np.zeros(2)})}, 7)

    tensors = state.to_tensors()
    again = State.from_tensors(tensors)

    assert list(tensors) == ["steps", "weights/a/b", "m/a/b"]
    assert bits(again.weights) == bits(state.weights)
    assert bits(again.moments["m"]) == bits(state.moments["m"])
    assert again.steps == 7


def test_a_state_of_a_model_without_tensors_comes_back():
    again = State.from_tensors(State(Arrays({}), steps=3).to_tensors())

    assert (len(again.weights), again.moments, again.steps) == (0, {}, 3)


@pytest.mark.parametrize(
    "tensors",
    [
        {},
        {"weights/w": np.ones(1)},
        {"steps": np.ones(1, np.int64)},
        {"steps": np.float64(1)},
        {"steps": np.int64(1), "w": np.ones(1)},
    ],
)
def test_tensors_that_are_no_state_are_refused(tensors):
    with pytest.raises(Invalid, match="state"):
        State.from_tensors(tensors)


def test_a_name_without_room_for_a_prefix_is_refused_at_the_start():
    with pytest.raises(Invalid, match="name"):
        State(Arrays({"w" * MAX_NAME_CHARACTERS: np.ones(1)})).to_tensors()


def test_a_state_is_frozen():
    with pytest.raises(AttributeError):
        State(model()).steps = 2
