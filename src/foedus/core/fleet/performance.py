"""``performance.json``: how long a phone took for each part of a round, and its losses. Read, and written as phones do.

Reading is strict about form and tolerant about content. What is not JSON, too large, or of another type than phones
write is Invalid. Sections and numbers may be missing, for apps differ between versions; unknown ones are dropped. So
are negative durations: phones write -1 for what they did not measure, and clocks are set back. A loss that is not
finite, which training gone wrong produces, is kept as None: it is no reason to refuse the phone's report.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import fsum, isfinite
from typing import Any

from foedus.core.codecs import strict_json
from foedus.core.errors import Invalid, TooLarge
from foedus.core.fleet.modes import APPS, TrainingMode

FILE_NAME = "performance.json"
MEDIA_TYPE = "application/json"
MAX_BYTES = 256 << 10
MAX_DEPTH = 8
MAX_EPOCHS = 10_000
PHONE = ""  # who trained, where the apps did not each train on their own

GENERAL, DOWNLOAD, TRAINING = "general", "download_weights_worker", "local_training_worker"
MERGE, SUBMIT = "merge_models_worker", "submit_results_worker"
REQUEST, RECEIVED = "backend_request_id", "notification_received_local_time"
EPOCHS, ATTEMPT = "epochs", "attempt"
STARTED, WORKED = "worker_started_after", "worker_duration"

_DOWNLOAD = (STARTED, "join_round_duration", "download_weights_duration", "save_weights_duration", WORKED, ATTEMPT)
_REQUESTS = tuple(f"{app}_request_duration" for app in APPS)
_TRAINING = (STARTED, "load_weights_duration", "load_samples_duration", "training_duration", EPOCHS, WORKED, ATTEMPT)
_INTEGERS = {REQUEST, RECEIVED, ATTEMPT}
_NOT_METRICS = {f"{GENERAL}.{REQUEST}", f"{GENERAL}.{RECEIVED}"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """``losses`` by who trained (``PHONE``, or each app), an entry for every epoch; ``numbers`` by ``section.key``.

    Durations are in seconds, ``general.notification_received_local_time`` in milliseconds since 1970.
    """

    mode: TrainingMode
    losses: Mapping[str, Sequence[float | None]]
    numbers: Mapping[str, float]

    @property
    def request_id(self) -> int | None:
        number = self.numbers.get(f"{GENERAL}.{REQUEST}")
        return None if number is None else int(number)

    @property
    def loss(self) -> float | None:
        """The loss of the last epoch; the mean of the apps' where each trained. None unless all are finite."""
        latest = [epochs[-1] if epochs else None for epochs in self.losses.values()]
        finite = [loss for loss in latest if loss is not None]
        if not finite or len(finite) < len(_trainees(self.mode)):
            return None
        return fsum(loss / len(finite) for loss in finite)

    @property
    def metrics(self) -> dict[str, float]:
        """Finite numbers by name: ``loss`` if there is one, ``epochs``, ``losses_not_finite``, durations, attempts."""
        found = {name: value for name, value in self.numbers.items() if name not in _NOT_METRICS}
        found["epochs"] = float(max(map(len, self.losses.values()), default=0))
        found["losses_not_finite"] = float(sum(loss is None for epochs in self.losses.values() for loss in epochs))
        return found if self.loss is None else {"loss": self.loss, **found}


def read_performance(body: bytes, mode: TrainingMode) -> Performance:
    """What a phone sent in a round of this mode. Raises Invalid, TooLarge."""
    if len(body) > MAX_BYTES:
        raise TooLarge(f"{FILE_NAME} is larger than allowed", size_bytes=len(body), max_bytes=MAX_BYTES)
    document = strict_json.parse(body, max_depth=MAX_DEPTH, constant=float)
    losses: dict[str, tuple[float | None, ...]] = {}
    numbers: dict[str, float] = {}
    for path, keys in _sections(mode):
        section = _section(document, path)
        for key in keys:
            name = ".".join((*path, key))
            if key == EPOCHS:
                losses[_trainee(path)] = _epochs(section.get(key), name)
            elif (number := _number(section.get(key), name)) is not None:
                numbers[name] = number
    return Performance(mode=mode, losses=losses, numbers=numbers)


def write_performance(
    mode: TrainingMode, *, losses: Mapping[str, Sequence[float]], numbers: Mapping[str, float]
) -> bytes:
    """The file that a phone would send: every section and key of the mode, in the phones' order.

    ``losses`` and ``numbers`` as in ``Performance``. Numbers that are not given are 0, attempts 1. Losses may be NaN.
    Raises Invalid for names that this mode's file does not have.
    """
    if set(losses) != set(_trainees(mode)):
        raise Invalid(f"{mode} has the losses of {_trainees(mode)}, not of {tuple(losses)}")
    rest = dict(numbers)
    document: dict[str, Any] = {}
    for path, keys in _sections(mode):
        section = document
        for part in path:
            section = section.setdefault(part, {})
        for key in keys:
            given = rest.pop(".".join((*path, key)), None)
            section[key] = list(losses[_trainee(path)]) if key == EPOCHS else _written(mode, key, given)
    if rest:
        raise Invalid(f"{mode} has no {min(rest)!r} in its {FILE_NAME}")
    return json.dumps(document, indent=2).encode()


def _sections(mode: TrainingMode) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Where each section is, and its keys."""
    yield (GENERAL,), (REQUEST, RECEIVED, "total_duration")
    yield (DOWNLOAD,), _DOWNLOAD if mode is TrainingMode.BASELINE else (*_DOWNLOAD, *_REQUESTS)
    for trainee in _trainees(mode):
        yield (TRAINING, trainee) if trainee else (TRAINING,), _TRAINING
    if mode is TrainingMode.JOINT_MODELS:
        yield (MERGE,), (STARTED, WORKED, ATTEMPT)
    yield (SUBMIT,), (ATTEMPT, STARTED)


def _trainees(mode: TrainingMode) -> tuple[str, ...]:
    return APPS if mode is TrainingMode.JOINT_MODELS else (PHONE,)


def _trainee(path: tuple[str, ...]) -> str:
    return path[1] if len(path) > 1 else PHONE


def _section(document: Any, path: tuple[str, ...]) -> Mapping[str, Any]:
    for depth in range(len(path) + 1):
        if not isinstance(document, dict):
            raise Invalid(f"{'.'.join(path[:depth]) or FILE_NAME} is a JSON object, not {str(document)[:40]!r}")
        if depth < len(path):
            inner = document.get(path[depth])
            document = {} if inner is None else inner
    return document  # type: ignore[no-any-return]  # a dict by now


def _epochs(value: Any, name: str) -> tuple[float | None, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise Invalid(f"{name} is a list of losses, not {str(value)[:40]!r}")
    if len(value) > MAX_EPOCHS:
        raise TooLarge(f"{name} has more epochs than allowed", epochs=len(value), max_epochs=MAX_EPOCHS)
    return tuple(_finite(loss, f"{name}[{i}]") for i, loss in enumerate(value))


def _number(value: Any, name: str) -> float | None:
    number = _finite(value, name)
    return None if number is None or number < 0 else number


def _finite(value: Any, name: str) -> float | None:
    """None for null and for what is no finite number; raises Invalid for what is no number at all."""
    if value is None:
        return None
    if type(value) not in (int, float):
        raise Invalid(f"{name} is a number, not {str(value)[:40]!r}")
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if isfinite(number) else None


def _written(mode: TrainingMode, key: str, given: float | None) -> float:
    if mode is TrainingMode.JOINT_SAMPLES and key in _REQUESTS:
        return -1  # whatever was measured: that is what phones write in this mode
    if key in _INTEGERS:
        return int(given if given is not None else key == ATTEMPT)
    return float(given or 0)
