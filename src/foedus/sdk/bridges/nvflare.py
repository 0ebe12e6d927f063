"""A script for NVFlare's client API as a participant.

    run_script(script.main, url=..., key=...)

The script calls ``flare.init()``, ``receive()`` and ``send()`` as it always did, and is answered in this process;
nothing of NVFlare's network is used. Written against NVFlare 2.9.
"""

import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from foedus.core.errors import Invalid
from foedus.sdk.bridges.weights import numbers
from foedus.sdk.participant import run_participant
from foedus.sdk.runner import Outcome
from foedus.sdk.stopping import Stop
from foedus.sdk.training import Context, Evaluation, Model, Settings, Update

EXAMPLES = "NUM_STEPS_CURRENT_ROUND"  # by which NVFlare weights an answer
SITE = "foedus"
TRAIN, EVALUATE = "train", "validate"  # tasks as NVFlare names them


def run_script(
    script: Callable[[], object],
    *,
    site: str = SITE,
    tensors: Callable[[Any], Any] = np.array,
    evaluates: bool = False,
    **options: Any,
) -> Outcome:
    """Take part with ``script`` until the project is finished or the script ends; ``options`` of ``run_participant``.

    ``tensors`` makes what the script expects in ``FLModel.params`` of a NumPy array, such as ``torch.tensor``. With
    ``evaluates`` it is given models to evaluate, too, and asks ``is_evaluate()``. The script runs in this thread.
    Raises what ``run_participant`` raises, and what the script does.
    """
    exchange = Exchange()
    _install(exchange, site, tensors)
    participant: Any = exchange if evaluates else exchange.train  # what has no evaluate is given no models for it
    stop = Stop()
    found: list[Outcome | BaseException] = []

    def take_part() -> None:
        try:
            found.append(run_participant(participant, stop=stop, **options))
        except BaseException as exc:  # noqa: BLE001 - raised again where the script was called
            found.append(exc)
        finally:
            exchange.finish()

    beside = threading.Thread(target=take_part, name="participant")
    beside.start()
    try:
        script()
    finally:
        stop.set()
        exchange.leave()
        beside.join()
    if isinstance(found[0], BaseException):
        raise found[0]
    return found[0]


@dataclass(frozen=True, slots=True)
class Given:
    """A model to train in a round, or to evaluate. ``task`` is NVFlare's name of that."""

    model: Model
    round: int
    settings: Mapping[str, Any]
    task: str = TRAIN


class Exchange:
    """Between a participant, which is called, and a script, which calls."""

    def __init__(self) -> None:
        self._given: queue.SimpleQueue[Given | None] = queue.SimpleQueue()
        self._made: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._present: Given | None = None
        self._over = False
        self.task = TRAIN  # of the latest model

    def train(self, model: Model, settings: Settings, context: Context) -> Update:
        """The participant's side: what the script makes of the model."""
        return _update(model, self._done(Given(model, context.round or 0, settings)))

    def evaluate(self, model: Model, settings: Settings, context: Context) -> Evaluation:
        """What the script says of the model."""
        number = getattr(context.checkpoint, "round", None) or 0
        made = self._done(Given(model, number, settings, EVALUATE))
        return Evaluation(numbers(made.metrics), _examples(made))

    def _done(self, given: Given) -> Any:
        self._given.put(given)
        made = self._made.get()
        if made is None:
            self.leave()  # the next one is told so, too
            raise RuntimeError("the script ended before it sent a model")
        return made

    def finish(self) -> None:
        """There will be no more models."""
        self._given.put(None)

    def leave(self) -> None:
        """The script is over."""
        self._made.put(None)

    def is_running(self) -> bool:
        """The script's side: waits for the next model, and whether there is one."""
        if self._present is None and not self._over:
            self._present = self._given.get()
            self._over = self._present is None
            self.task = self.task if self._present is None else self._present.task
        return self._present is not None

    def receive(self) -> Given | None:
        """The model to train; None when the project is finished."""
        return self._present if self.is_running() else None

    def send(self, model: Any) -> None:
        if self._present is None:
            raise RuntimeError("there is no model to answer: receive() comes before send()")
        self._present = None
        self._made.put(model)


def _update(model: Model, made: Any) -> Update:
    if not made.params:
        raise Invalid("the script sent no params for a training; one that evaluates is run with evaluates=True")
    params = {name: np.asarray(array) for name, array in made.params.items()}
    if str(getattr(made.params_type, "value", made.params_type)) == "DIFF":
        params = {name: model.get(name, 0) + array for name, array in params.items()}
    return Update({**model, **params}, _examples(made), numbers(made.metrics))


def _examples(made: Any) -> float:
    return float((made.meta or {}).get(EXAMPLES, 1))


def _install(exchange: Exchange, site: str, tensors: Callable[[Any], Any]) -> None:
    """What ``flare.init()`` finds, as NVFlare's own executor puts it there."""
    flare: Any = import_module("nvflare.client.api")
    spec: Any = import_module("nvflare.client.api_spec")
    base: Any = import_module("nvflare.client.in_process.api").InProcessClientAPI
    model_class: Any = import_module("nvflare.app_common.abstract.fl_model").FLModel
    bus: Any = import_module("nvflare.fuel.data_event.data_bus").DataBus()

    class Answering(base):  # type: ignore[misc]  # NVFlare accepts no other class, and is not installed where types are checked
        """NVFlare's client API, answered by the exchange."""

        def is_running(self) -> bool:
            return exchange.is_running()

        def receive(self, timeout: float | None = None) -> Any:  # noqa: ARG002 - NVFlare's signature
            given = exchange.receive()
            if given is None:
                return None
            params = {name: tensors(array) for name, array in given.model.items()}
            number = max(given.round - 1, 0)  # NVFlare counts rounds from zero
            return model_class(params_type="FULL", params=params, current_round=number, meta=dict(given.settings))

        def send(self, model: Any, clear_cache: bool = True) -> None:  # noqa: ARG002, FBT001, FBT002 - NVFlare's signature
            exchange.send(model)

        def get_task_name(self) -> str:
            return exchange.task

        def is_train(self) -> bool:
            return exchange.task == TRAIN

        def is_evaluate(self) -> bool:
            return exchange.task == EVALUATE

        def is_submit_model(self) -> bool:
            return False

        def log(self, key: str, value: Any, data_type: Any, **more: Any) -> None:
            """Tracking is for NVFlare's own server."""

    bus.put_data(spec.CLIENT_API_KEY, Answering({"job_id": "foedus", "site_name": site, "task_name": TRAIN}))
    flare.context_dict.clear()  # of a script that ran before in this process
