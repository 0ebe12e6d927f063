import numpy as np
import pytest

from foedus.core.errors import Invalid
from foedus.sdk import Evaluation, Update
from foedus.sdk.training import Abilities


@pytest.mark.parametrize("examples", [0, -1, float("nan"), float("inf"), "many", None])
def test_examples_are_a_positive_finite_number(examples):
    with pytest.raises(Invalid, match="examples"):
        Update({}, examples)


def test_numbers_of_numpy_become_plain_ones():
    update = Update({}, np.int64(3), {"loss": np.float32(0.5)})

    assert type(update.examples) is float
    assert update.metrics == {"loss": 0.5}


@pytest.mark.parametrize("metrics", [{"loss": float("nan")}, {1: 2.0}, {"loss": "low"}, [("loss", 1.0)]])
def test_metrics_are_finite_numbers_by_name(metrics):
    with pytest.raises(Invalid, match="metric"):
        Evaluation(metrics, 3)


class Site:
    def train(self, model, settings, context):
        return ("trained", context)

    def evaluate(self, model, settings):
        return "evaluated"


def test_an_objects_methods_are_found_and_get_the_context_if_they_ask_for_it():
    abilities = Abilities.of(Site())

    assert abilities.can == "train,evaluate"
    assert abilities.train({}, {}, "context") == ("trained", "context")
    assert abilities.evaluate({}, {}, "context") == "evaluated"


def test_a_third_parameter_with_a_default_of_its_own_is_left_alone():
    abilities = Abilities.of(lambda model, settings, epochs=3: epochs)

    assert abilities.can == "train"
    assert abilities.train({}, {}, "context") == 3


def test_a_third_parameter_named_context_is_given():
    assert Abilities.of(lambda model, settings, context=None: context).train({}, {}, "context") == "context"


def test_what_cannot_train_is_no_participant():
    with pytest.raises(Invalid, match="train"):
        Abilities.of(7)
