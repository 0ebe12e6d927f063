"""Every way to write a Flower client, trained once by the bridge; run where Flower is installed."""

import threading

import numpy as np
from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict
from flwr.client import Client, NumPyClient
from flwr.client.mod import fixedclipping_mod
from flwr.clientapp import ClientApp
from flwr.clientapp.mod import LocalDpMod
from flwr.common import Code, EvaluateRes, FitRes, Status, ndarrays_to_parameters, parameters_to_ndarrays

from foedus.core.errors import Invalid
from foedus.sdk.answers import Checkpoint, Task
from foedus.sdk.bridges.flower import FlowerClient
from foedus.sdk.bridges.weights import named
from foedus.sdk.training import Context, NoEvaluator

MODEL = named([np.zeros(2, np.float32), np.ones((2, 2), np.float32)])
CONTEXT = Context("p", Task("train", round=3, checkpoint=Checkpoint(2, "", 0)), threading.Event(), threading.Event())


class Numpy(NumPyClient):
    def fit(self, parameters, config):
        assert config == {"lr": 0.1, "server-round": 3}, config
        return [array + 1 for array in parameters], 5, {"loss": 0.5, "who": "me"}

    def evaluate(self, parameters, config):
        return 0.25, 5, {"accuracy": 0.75}


class Free(Numpy):
    """With a signature that says nothing of its kind."""

    def fit(self, *both, **more):
        return super().fit(*both, **more)


class Whole(Client):
    def fit(self, ins):
        arrays = [array + 1 for array in parameters_to_ndarrays(ins.parameters)]
        return FitRes(Status(Code.OK, ""), ndarrays_to_parameters(arrays), 5, {"loss": 0.5})

    def evaluate(self, ins):
        return EvaluateRes(Status(Code.OK, ""), 0.25, 5, {"accuracy": 0.75})


class FreeWhole(Whole):
    def fit(self, *ins, **more):
        return super().fit(*ins, **more)


class Trainer(NumPyClient):
    """It does not evaluate."""

    fit = Numpy.fit


class WholeTrainer(Client):
    fit = Whole.fit


class Failing(Whole):
    def fit(self, ins):
        return FitRes(Status(Code.FIT_NOT_IMPLEMENTED, "no rows"), ins.parameters, 0, {})


def client_fn(context):
    assert (context.node_config["partition-id"], context.run_config["lr"]) == (1, 0.1)
    return Numpy().to_client()


def any_client_fn(*context):
    return client_fn(*context)


def messages(mods=None, *, evaluates=True):
    app = ClientApp(mods=mods)

    @app.train()
    def train(message, context):
        assert dict(message.content["config"]) == {"lr": 0.1, "server-round": 3}
        arrays = ArrayRecord([array + 1 for array in message.content["arrays"].to_numpy_ndarrays()])
        metrics = MetricRecord({"num-examples": 5, "loss": 0.5, "each": [1.0, 2.0]})
        return Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=message)

    if not evaluates:
        return app

    @app.evaluate()
    def evaluate(message, context):
        metrics = MetricRecord({"num-examples": 5, "loss": 0.25, "accuracy": 0.75})
        return Message(RecordDict({"metrics": metrics}), reply_to=message)

    return app


def refused(client, settings, words):
    said = "nothing"
    try:
        FlowerClient(client).train(MODEL, settings, CONTEXT)
    except (Invalid, RuntimeError) as exc:
        said = str(exc)
    assert words in said, said


CLIENTS = [
    Numpy(), Free(), Numpy().to_client(), Free().to_client(), Whole(), FreeWhole(),
    client_fn, any_client_fn, ClientApp(client_fn=client_fn), messages(),
]  # fmt: skip
for client in CLIENTS:
    bridged = FlowerClient(client, node_config={"partition-id": 1}, run_config={"lr": 0.5})
    update, evaluation = bridged.train(MODEL, {"lr": 0.1}, CONTEXT), bridged.evaluate(MODEL, {"lr": 0.1}, CONTEXT)
    assert (update.examples, update.metrics) == (5, {"loss": 0.5}), client
    assert [update.weights[name].tolist() for name in MODEL] == [[1, 1], [[2, 2], [2, 2]]], client
    assert (evaluation.examples, evaluation.metrics) == (5, {"loss": 0.25, "accuracy": 0.75}), client
for client in (Trainer(), Trainer().to_client(), WholeTrainer(), lambda context: Trainer(), messages(evaluates=False)):
    bridged = FlowerClient(client)
    assert bridged.train(MODEL, {"lr": 0.1}, CONTEXT).examples == 5, client
    try:
        bridged.evaluate(MODEL, {"lr": 0.1}, CONTEXT)
    except NoEvaluator:
        continue
    raise AssertionError(client)
settings = {"lr": 0.1, "clipping_norm": 0.5}
clipping = ClientApp(client_fn=lambda context: Whole(), mods=[fixedclipping_mod])
moved = FlowerClient(clipping).train(MODEL, settings, CONTEXT)
lengths = [np.linalg.norm(moved.weights[name] - MODEL[name]) for name in MODEL]
assert np.isclose(np.hypot(*lengths), 0.5), lengths
noisy = FlowerClient(messages([LocalDpMod(0.5, 1e-6, 1e3, 0.1)])).train(MODEL, {"lr": 0.1}, CONTEXT)
assert np.isclose(np.hypot(*(np.linalg.norm(noisy.weights[name] - MODEL[name]) for name in MODEL)), 0.5, atol=1e-3)
refused(Failing(), {}, "FIT_NOT_IMPLEMENTED: no rows")
refused(messages(), {"deep": {"a": 1}}, "setting 'deep'")
refused(lambda one, two: None, {}, "client_fn(context")
