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

from foedus.sdk.bridges.weights import numbers
from foedus.sdk.participant import run_participant
from foedus.sdk.runner import Outcome
from foedus.sdk.stopping import Stop
from foedus.sdk.training import Context, Model, Settings, Update

EXAMPLES = "NUM_STEPS_CURRENT_ROUND"  # by which NVFlare weights an answer
SITE = "foedus"


def run_script(
    script: Callable[[], object], *, site: str = SITE, tensors: Callable[[Any], Any] = np.array, **options: Any
) -> Outcome:
    """Take part with ``script`` until the project is finished or the script ends; ``options`` of ``run_participant``.

    ``tensors`` makes what the script expects in ``FLModel.params`` of a NumPy array, such as ``torch.tensor``. The
    script runs in this thread. Raises what ``run_participant`` raises, and what the script does.
    """
    exchange = Exchange()
    _install(exchange, site, tensors)
    stop = Stop()
    found: list[Outcome | BaseException] = []

    def take_part() -> None:
        try:
            found.append(run_participant(exchange.train, stop=stop, **options))
        except BaseException as exc:  # noqa: BLE001 - raised again where the script was called
            found.append(exc)
        finally:
            exchange.finish()

    participant = threading.Thread(target=take_part, name="participant")
    participant.start()
    try:
        script()
    finally:
        stop.set()
        exchange.leave()
        participant.join()
    if isinstance(found[0], BaseException):
        raise found[0]
    return found[0]


@dataclass(frozen=True, slots=True)
class Given:
    """A model to train in a round."""

    model: Model
    round: int
    settings: Mapping[str, Any]


class Exchange:
    """Between a participant, which is called, and a script, which calls."""

    def __init__(self) -> None:
        self._given: queue.SimpleQueue[Given | None] = queue.SimpleQueue()
        self._made: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._present: Given | None = None
        self._over = False

    def train(self, model: Model, settings: Settings, context: Context) -> Update:
        """The participant's side: what the script makes of the model."""
        self._given.put(Given(model, context.round or 0, settings))
        made = self._made.get()
        if made is None:
            raise RuntimeError("the script ended before it sent a model")
        return _update(model, made)

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
    params = {name: np.asarray(array) for name, array in (made.params or {}).items()}
    if str(getattr(made.params_type, "value", made.params_type)) == "DIFF":
        params = {name: model[name] + array for name, array in params.items() if name in model}
    return Update({**model, **params}, float((made.meta or {}).get(EXAMPLES, 1)), numbers(made.metrics))


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
            number = given.round - 1  # NVFlare counts rounds from zero
            return model_class(params_type="FULL", params=params, current_round=number, meta=dict(given.settings))

        def send(self, model: Any, clear_cache: bool = True) -> None:  # noqa: ARG002, FBT001, FBT002 - NVFlare's signature
            exchange.send(model)

        def is_train(self) -> bool:
            return True

        def is_evaluate(self) -> bool:
            return False

        def is_submit_model(self) -> bool:
            return False

        def log(self, key: str, value: Any, data_type: Any, **more: Any) -> None:
            """Tracking is for NVFlare's own server."""

    bus.put_data(spec.CLIENT_API_KEY, Answering({"job_id": "foedus", "site_name": site, "task_name": "train"}))
    flare.context_dict.clear()  # of a script that ran before in this process
