"""What needs no NVFlare: the exchange between a participant and a script. Scripts are tested in tests/examples."""

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

from foedus.core.errors import Invalid
from foedus.sdk.answers import Checkpoint, Task
from foedus.sdk.bridges.nvflare import Exchange
from foedus.sdk.training import Context, Evaluation

MODEL = {"w": np.ones(2, np.float32), "b": np.zeros(1, np.float32)}


@pytest.fixture
def context():
    task = Task("train", round=3, checkpoint=Checkpoint(2, "", 0))
    return Context("p", task, threading.Event(), threading.Event())


def model_of(params, kind="FULL", **more):
    return SimpleNamespace(**{"params": params, "params_type": kind, "metrics": None, "meta": {}, **more})


@pytest.fixture
def trained(context):
    """What becomes of the model that a script sends."""

    def run(sent):
        exchange = Exchange()
        with ThreadPoolExecutor(1) as participant:
            update = participant.submit(exchange.train, MODEL, {}, context)
            assert exchange.is_running()
            assert exchange.receive().round == 3
            exchange.send(sent)
            exchange.finish()
            assert not exchange.is_running()
            assert exchange.receive() is None
            return update.result()

    return run


def test_whole_weights_are_taken_as_they_are_with_their_number_of_steps(trained):
    sent = model_of({"w": [3, 3]}, meta={"NUM_STEPS_CURRENT_ROUND": 7}, metrics={"loss": 1, "what": "text"})

    update = trained(sent)

    assert (update.examples, update.metrics) == (7, {"loss": 1.0})
    np.testing.assert_array_equal(update.weights["w"], [3, 3])
    np.testing.assert_array_equal(update.weights["b"], [0])


def test_differences_are_added_to_the_model(trained):
    update = trained(model_of({"w": np.array([3, 3])}, "DIFF"))

    np.testing.assert_array_equal(update.weights["w"], [4, 4])


def test_a_training_that_sends_no_params_fails_instead_of_handing_back_the_old_model(trained):
    with pytest.raises(Invalid, match="no params for a training"):
        trained(model_of(None, metrics={"accuracy": 1.0}))


def test_a_model_to_evaluate_is_answered_by_metrics_alone():
    exchange = Exchange()
    task = Task("evaluate", checkpoint=Checkpoint(2, "", 0, 2))
    context = Context("p", task, threading.Event(), threading.Event())

    with ThreadPoolExecutor(1) as participant:
        evaluation = participant.submit(exchange.evaluate, MODEL, {}, context)
        given = exchange.receive()
        exchange.send(model_of(None, metrics={"accuracy": 0.5}, meta={"NUM_STEPS_CURRENT_ROUND": 9}))

    assert (given.task, given.round, exchange.task) == ("validate", 2, "validate")
    assert evaluation.result() == Evaluation({"accuracy": 0.5}, 9)


def test_a_script_that_ends_without_an_answer_fails_its_round_and_no_more(context):
    exchange = Exchange()
    exchange.leave()

    for work in (exchange.evaluate, exchange.train):  # both of one task
        with pytest.raises(RuntimeError, match="ended before it sent"):
            work(MODEL, {}, context)


def test_a_script_must_receive_before_it_sends():
    with pytest.raises(RuntimeError, match="receive"):
        Exchange().send(model_of({}))
