"""What a phone does when it is told to train: the jobs of one round, in the order of its mode."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from foedus.core.fleet.expiry import is_expired
from foedus.core.fleet.layouts import fleet_model
from foedus.core.fleet.modes import APPS, TrainingMode
from foedus.core.fleet.performance import (
    DOWNLOAD,
    GENERAL,
    MERGE,
    PHONE,
    RECEIVED,
    REQUEST,
    SUBMIT,
    TRAINING,
    write_performance,
)
from foedus.simulation.flaas.answers import RoundAnswer
from foedus.simulation.flaas.api import FlaasApi
from foedus.simulation.flaas.apps import App
from foedus.simulation.flaas.learning import FeatureCache, Recipe, merge, train_files
from foedus.simulation.flaas.push import TrainPush
from foedus.simulation.flaas.schedule import Step

JOIN, AT_DOWNLOAD, AT_MERGE, AT_SUBMIT = 1, 2, 4, 5


class Phone(Protocol):
    """What the jobs of a round need of the phone that runs them."""

    api: FlaasApi
    username: str
    apps: Sequence[App]
    cache: FeatureCache
    shuffle_seed: int | None

    def now_ms(self) -> int: ...

    def report(self, **fields: Any) -> bytes:
        """The body of a report-availability of this moment."""
        ...

    def reported(self, push: TrainPush, body: bytes) -> None:
        """The report of a training has been taken."""
        ...

    def trained(self, push: TrainPush, loss: float, seconds: float) -> None: ...


@dataclass
class RoundJobs:
    """The state that the jobs of one round hand on, as the app does in a file and in its jobs' data."""

    phone: Phone
    push: TrainPush
    received_ms: int
    answer: RoundAnswer | None = None
    weights: bytes = b""
    app_weights: dict[int, bytes] = field(default_factory=dict)
    losses: dict[str, list[float]] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)
    ready_at: float = field(default_factory=time.monotonic)

    def steps(self) -> Sequence[Step]:
        match TrainingMode(self.push.mode):
            case TrainingMode.BASELINE:
                return (self.download, self.train, self.submit)
            case TrainingMode.JOINT_SAMPLES:
                return (self.download, self.train, self.submit)
            case TrainingMode.JOINT_MODELS:
                return (self.download, *(self._app_step(app) for app in self.phone.apps), self.merge, self.submit)

    def download(self, attempt: int) -> bool:
        """Join, and fetch the model that the round starts from."""
        with self._worker(DOWNLOAD, attempt):
            if self._expired(AT_DOWNLOAD):
                return False
            key = (self.push.project, self.push.round)
            with self._timed(f"{DOWNLOAD}.join_round_duration"):
                self.answer = self.phone.api.join_round(*key, JOIN)
            with self._timed(f"{DOWNLOAD}.download_weights_duration"):
                self.weights = self.phone.api.get_model(*key)
        return True

    def train(self, attempt: int) -> bool:
        """On the samples of all apps together. The modes differ in who brings them here, not in what is trained."""
        answer = self._joined()
        with self._worker(TRAINING, attempt):
            with self._timed(f"{TRAINING}.load_samples_duration"):
                files = [app.samples(answer.dataset_type, answer.number_of_samples) for app in self.phone.apps]
            with self._timed(f"{TRAINING}.training_duration") as seconds:
                self.weights, losses = train_files(self._recipe(0), self.weights, files, self.phone.cache)
        self.losses = {PHONE: losses}
        self.phone.trained(self.push, losses[-1], seconds())
        return True

    def merge(self, attempt: int) -> bool:
        with self._worker(MERGE, attempt):
            if self._expired(AT_MERGE):
                return False
            size_bytes = fleet_model(self._joined().model).layout.nbytes
            self.weights = merge([self.app_weights[app.number] for app in self.phone.apps], size_bytes)
        return True

    def submit(self, attempt: int) -> bool:
        """Model, report, results: in this order, and all three again when one of them fails."""
        self.numbers[f"{SUBMIT}.worker_started_after"] = time.monotonic() - self.ready_at
        self.numbers[f"{SUBMIT}.attempt"] = attempt
        if self._expired(AT_SUBMIT):
            return False
        key = (self.push.project, self.push.round)
        self.phone.api.submit_model(*key, self.weights)
        body = self.phone.report(request_type="device-train", request_id=self.push.request)
        self.phone.api.report_availability(body)
        self.phone.reported(self.push, body)
        self.phone.api.submit_results(*key, self.results())
        return True

    def results(self) -> bytes:
        """The file ``performance.json`` as it stands."""
        self.numbers[f"{GENERAL}.{REQUEST}"] = self.push.request
        self.numbers[f"{GENERAL}.{RECEIVED}"] = self.received_ms
        self.numbers[f"{GENERAL}.total_duration"] = max(0.0, (self.phone.now_ms() - self.received_ms) / 1000)
        return write_performance(TrainingMode(self.push.mode), losses=self.losses, numbers=self.numbers)

    def _app_step(self, app: App) -> Step:
        """The train job, in one of the three apps."""

        def train_in_app(attempt: int) -> bool:
            answer = self._joined()
            section = f"{TRAINING}.{app.name}"
            with self._worker(section, attempt), self._timed(f"{section}.training_duration") as seconds:
                self.app_weights[app.number], losses = app.train(
                    self._recipe(app.number), self.weights, answer.dataset_type, self.phone.cache
                )
            self.losses[app.name] = losses
            self.numbers[f"{DOWNLOAD}.{app.name}_request_duration"] = seconds()
            if len(self.losses) == len(APPS):
                self.phone.trained(self.push, *self._of_apps())
            return True

        return train_in_app

    def _of_apps(self) -> tuple[float, float]:
        """The mean of their losses, and how long they trained one after the other."""
        loss = sum(epochs[-1] for epochs in self.losses.values()) / len(self.losses)
        return loss, sum(self.numbers[f"{TRAINING}.{name}.training_duration"] for name in self.losses)

    def _recipe(self, app: int) -> Recipe:
        answer, seed = self._joined(), self.phone.shuffle_seed
        recipe = Recipe(
            model=answer.model, samples=answer.number_of_samples, epochs=answer.number_of_epochs, seed=answer.seed,
            round=self.push.round, username=self.phone.username,
        )  # fmt: skip
        if seed is None:
            return recipe
        return replace(recipe, shuffle=(seed, self.push.round, app, *self.phone.username.encode()))

    def _joined(self) -> RoundAnswer:
        if self.answer is None:
            raise ValueError("a phone joins before it trains")
        return self.answer

    def _expired(self, stage: int) -> bool:
        """Whether it is too late, by the phone's own clock; if so the server is told where that was found out."""
        if not is_expired(self.push.valid_date_ms, self.phone.now_ms()):
            return False
        self.phone.api.join_round(self.push.project, self.push.round, stage)
        return True

    @contextmanager
    def _worker(self, section: str, attempt: int) -> Iterator[None]:
        started = time.monotonic()
        self.numbers[f"{section}.worker_started_after"] = started - self.ready_at
        self.numbers[f"{section}.attempt"] = attempt
        with self._timed(f"{section}.worker_duration"):
            yield
        self.ready_at = time.monotonic()

    @contextmanager
    def _timed(self, name: str) -> Iterator[Callable[[], float]]:
        started = time.monotonic()
        yield lambda: self.numbers[name]
        self.numbers[name] = time.monotonic() - started
