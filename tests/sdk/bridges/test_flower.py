"""What needs no Flower: a NumPyClient is known by its methods. Apps are tested with Flower itself in tests/examples."""

import threading

import numpy as np
import pytest

from foedus.core.errors import Invalid
from foedus.sdk.answers import Checkpoint, Task
from foedus.sdk.bridges.flower import FlowerClient
from foedus.sdk.bridges.weights import named
from foedus.sdk.training import Context

MODEL = named([np.zeros(2, np.float32), np.ones((2, 2), np.float32)])


class Client:
    def fit(self, parameters, config):
        self.config = config
        parameters[0] += 1
        parameters[1] += 1
        return parameters, 12, {"loss": 0.5, "name": "text", "list": [1]}

    def evaluate(self, parameters, config):
        return 0.25, 12, {"accuracy": np.float32(0.5)}


class Forgetful(Client):
    def fit(self, parameters, config):
        return parameters[:1], 12, {}


@pytest.fixture
def context():
    task = Task("train", round=3, checkpoint=Checkpoint(2, "", 0))
    return Context("p", task, threading.Event(), threading.Event())


def test_a_numpy_client_trains_on_lists_in_the_models_order(context):
    client = Client()

    update = FlowerClient(client).train(MODEL, {"rate": 0.1}, context)

    assert client.config == {"rate": 0.1, "server-round": 3}
    assert (update.examples, update.metrics) == (12, {"loss": 0.5})
    assert list(update.weights) == ["000", "001"]
    np.testing.assert_array_equal(update.weights["001"], np.full((2, 2), 2))
    np.testing.assert_array_equal(MODEL["001"], np.ones((2, 2)))


def test_a_numpy_clients_loss_is_a_metric_of_its_evaluation(context):
    evaluation = FlowerClient(Client()).evaluate(MODEL, {}, context)

    assert evaluation.metrics == {"loss": 0.25, "accuracy": 0.5}


def test_a_client_that_hands_back_another_number_of_arrays_is_told_so(context):
    with pytest.raises(Invalid, match="2 arrays, and training handed back 1"):
        FlowerClient(Forgetful()).train(MODEL, {}, context)


def test_what_is_no_flower_client_is_refused():
    with pytest.raises(Invalid, match="ClientApp, a client_fn, a Client or a NumPyClient"):
        FlowerClient(3)
