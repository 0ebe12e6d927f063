"""A Flower client as a participant.

    run_participant(FlowerClient(app), url=..., key=...)

``app`` is a ``flwr.clientapp.ClientApp``, made with ``@app.train()`` or with a ``client_fn``; a ``client_fn`` itself, a
``Client`` or a ``NumPyClient``. It stays as it is. Messages are made and read in this process; nothing of Flower's
network is used. Written against 1.41.
"""

import sys
import time
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np

from foedus.core.errors import Invalid
from foedus.sdk.bridges.weights import copies, named, numbers, renamed
from foedus.sdk.training import Context, Evaluation, Model, NoEvaluator, Settings, Update

EXAMPLES = "num-examples"
SERVER, NODE = 1, 2
_LEGACY = "flwr.compat.common.recorddict_compat"


class FlowerClient:
    """``settings`` of the project are the config of each message, with ``server-round``, and part of the run config.

    ``node_config``  what Flower's nodes are started with, such as ``partition-id`` and ``num-partitions``
    ``run_config``   the app's ``[tool.flwr.app.config]``
    What the app keeps in its context's ``state`` stays as long as this process.
    """

    def __init__(
        self, client: Any, *, node_config: Mapping[str, Any] | None = None, run_config: Mapping[str, Any] | None = None
    ) -> None:
        trains = callable(getattr(client, "fit", None))
        if not trains and not callable(client):
            raise Invalid("a Flower client is a ClientApp, a client_fn, a Client or a NumPyClient")
        self._is_numpy = trains and not _is_flowers("Client", client)
        self._client = client if self._is_numpy else _app(client)
        self._node_config, self._run_config = dict(node_config or {}), dict(run_config or {})
        self._state: Any = None

    def train(self, model: Model, settings: Settings, context: Context) -> Update:
        config = _config(settings, context)
        if self._is_numpy:
            arrays, examples, metrics = self._client.fit(copies(model), config)
            return Update(renamed(model, arrays), examples, numbers(metrics))
        reply = self._called("train", model, config, settings)
        if (legacy := _legacy(self._client)) is not None:
            result = _succeeded(legacy.recorddict_to_fitres(reply, keep_input=True))
            arrays = import_module("flwr.compat.common.parameter").parameters_to_ndarrays(result.parameters)
            return Update(renamed(model, arrays), result.num_examples, numbers(result.metrics))
        found = _only(reply.array_records, "ArrayRecord")
        metrics = _metrics(reply)
        weights = {name: array.numpy() for name, array in found.items()}
        same = weights if set(weights) == set(model) else renamed(model, list(weights.values()))
        return Update(same, _examples(metrics), numbers(metrics))

    def evaluate(self, model: Model, settings: Settings, context: Context) -> Evaluation:
        config = _config(settings, context)
        if not _evaluates(self._client):
            raise NoEvaluator("this Flower client has no evaluate")
        if self._is_numpy:
            loss, examples, metrics = self._client.evaluate(copies(model), config)
            return Evaluation({"loss": loss, **numbers(metrics)}, examples)
        reply = self._called("evaluate", model, config, settings)
        if (legacy := _legacy(self._client)) is not None:
            result = legacy.recorddict_to_evaluateres(reply)
            if result.status.code.name == "EVALUATE_NOT_IMPLEMENTED":
                raise NoEvaluator(result.status.message)
            _succeeded(result)
            return Evaluation({"loss": result.loss, **numbers(result.metrics)}, result.num_examples)
        metrics = _metrics(reply)
        examples = _examples(metrics)
        return Evaluation(numbers(metrics), examples)

    def _called(self, kind: str, model: Model, config: dict[str, Any], settings: Settings) -> Any:
        """The content of the app's answer to a message of this kind."""
        flwr: Any = import_module("flwr.app")
        message = flwr.Message(
            content=_content(flwr, self._client, kind, model, config), metadata=_metadata(flwr, kind, config)
        )
        if self._state is None:
            self._state = flwr.RecordDict()
        run_config = {**self._run_config, **settings}
        context = flwr.Context(0, NODE, node_config=self._node_config, state=self._state, run_config=run_config)
        reply = self._client(message, context)
        if reply.has_error():
            raise RuntimeError(f"the Flower app answered with an error: {reply.error.reason}")
        return reply.content


def _app(client: Any) -> Any:
    """What is no ClientApp as one: a ``client_fn``, or the one ``Client`` that it would make."""
    if _is_flowers("ClientApp", client):
        return client
    make: Any = import_module("flwr.clientapp").ClientApp
    if _is_flowers("Client", client):
        return make(client_fn=lambda _: client)
    try:
        return make(client_fn=client)
    except ValueError as exc:  # Flower has looked at its signature
        raise Invalid(str(exc)) from exc


def _is_flowers(name: str, client: Any) -> bool:
    """Whether it is one of Flower's classes of this name, which nobody has who has not imported Flower."""
    return "flwr" in sys.modules and isinstance(client, getattr(import_module("flwr.client"), name))


def _evaluates(client: Any) -> bool:
    """Whether there is anything to call, by Flower's own rules. What a ``client_fn`` makes tells only when called."""
    registered = getattr(client, "_registered_funcs", None)  # Flower has no public way to ask
    if registered is not None and _legacy(client) is None:
        return "evaluate.default" in registered
    if _is_flowers("NumPyClient", client):
        return bool(type(client).evaluate is not import_module("flwr.client").NumPyClient.evaluate)
    return registered is not None or hasattr(client, "evaluate")


def _succeeded(result: Any) -> Any:
    if result.status.code.value != 0:
        raise RuntimeError(f"the Flower client answered {result.status.code.name}: {result.status.message}")
    return result


def _record(flwr: Any, config: Mapping[str, Any]) -> Any:
    for name, value in config.items():
        try:
            flwr.ConfigRecord({name: value})
        except TypeError as exc:
            kinds = "numbers, truth values, texts, and lists of one kind of these"
            raise Invalid(f"the setting {name!r} is {value!r}: Flower's config holds {kinds}") from exc
    return flwr.ConfigRecord(dict(config))


def _arrays(flwr: Any, model: Model) -> Any:
    """By the model's names; those of a list's model are numbers, which Flower writes as ``0`` and so on."""
    if list(model) == list(named(model.values())):
        return flwr.ArrayRecord(copies(model))
    return flwr.ArrayRecord({name: flwr.Array(np.array(array)) for name, array in model.items()})


def _content(flwr: Any, app: Any, kind: str, model: Model, config: dict[str, Any]) -> Any:
    legacy, record = _legacy(app), _record(flwr, config)
    if legacy is None:
        return flwr.RecordDict({"arrays": _arrays(flwr, model), "config": record})
    typing: Any = import_module("flwr.compat.common.typing")
    parameters = import_module("flwr.compat.common.parameter").ndarrays_to_parameters(copies(model))
    if kind == "train":
        return legacy.fitins_to_recorddict(typing.FitIns(parameters, config), keep_input=True)
    return legacy.evaluateins_to_recorddict(typing.EvaluateIns(parameters, config), keep_input=True)


def _metadata(flwr: Any, kind: str, config: Mapping[str, Any]) -> Any:
    """As Flower writes it for a message from its server; who runs which task is nothing to a client."""
    return flwr.Metadata(
        run_id=0,
        message_id="",
        src_node_id=SERVER,
        dst_node_id=NODE,
        reply_to_message_id="",
        group_id=str(config["server-round"]),
        created_at=time.time(),
        ttl=flwr.DEFAULT_TTL,
        message_type=kind,
    )


def _legacy(app: Any) -> Any:
    """How messages of an app that was made with a ``client_fn`` are written; None for others.

    Flower has no public way to ask; ``_call`` is what its ClientApp keeps of a ``client_fn``.
    """
    return None if getattr(app, "_call", None) is None else import_module(_LEGACY)


def _config(settings: Settings, context: Context) -> dict[str, Any]:
    number = context.round if context.round is not None else getattr(context.checkpoint, "round", None)
    return {**settings, "server-round": number or 0}


def _metrics(reply: Any) -> dict[str, Any]:
    return dict(_only(reply.metric_records, "MetricRecord"))


def _examples(metrics: dict[str, Any]) -> float:
    if EXAMPLES not in metrics:
        raise Invalid(f"the Flower app's metrics have no {EXAMPLES!r}, by which its answer is weighted")
    return float(metrics.pop(EXAMPLES))


def _only(records: Mapping[str, Any], kind: str) -> Any:
    if len(records) != 1:
        raise Invalid(f"the Flower app's answer has {len(records)} of {kind}, and should have one")
    return next(iter(records.values()))
