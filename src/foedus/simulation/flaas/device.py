"""One simulated phone: it logs in, reports that it is there, and trains when it is told to."""

import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import structlog

from foedus.core.errors import PlatformError
from foedus.core.fleet.modes import DatasetType
from foedus.simulation.flaas.api import CallFailed, FlaasApi
from foedus.simulation.flaas.apps import install
from foedus.simulation.flaas.hardware import Hardware
from foedus.simulation.flaas.jobs import RoundJobs
from foedus.simulation.flaas.learning import FeatureCache
from foedus.simulation.flaas.meter import Meter
from foedus.simulation.flaas.push import TrainPush
from foedus.simulation.flaas.schedule import Call, Chain, Ending, Pace, Timer

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What goes wrong with a phone, on purpose.

    ``unplugged``     not on a charger; ``level`` fixes its battery (0 to 1)
    ``vanishes_in``   falls silent for good in this round, after it fetched the model
    ``repeats``       sends the report of every training so many times more
    ``clock_ahead_s`` its clock is wrong by so much
    ``without_app``   this app was killed: in the joint modes the phone waits for it for ever
    """

    unplugged: bool = False
    level: float | None = None
    vanishes_in: int | None = None
    repeats: int = 0
    clock_ahead_s: float = 0.0
    without_app: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a round's chain of jobs ended on one phone, and why if it did not go well."""

    username: str
    round: int
    ending: Ending
    reason: str = ""


def _nobody(outcome: Outcome) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the phones of a process share. ``timer`` runs their jobs, ``folder`` holds their files.

    ``seed`` draws their hardware and the orders in which they go through samples; None: others every time.
    """

    timer: Timer
    folder: Path
    seed: int | None = None
    pace: Pace = field(default_factory=Pace)
    cache: FeatureCache = field(default_factory=FeatureCache)
    meter: Meter = field(default_factory=Meter)
    clock: Callable[[], float] = time.time
    ended: Callable[[Outcome], None] = _nobody


class Device:
    """A phone: ``log_in`` first, then ``receive`` what is pushed to it."""

    def __init__(self, api: FlaasApi, account: Account, around: Surroundings, faults: Faults | None = None) -> None:
        self.api, self.username = api, account.username
        self.apps = install(around.folder / quote(account.username, safe=""))
        self.cache, self.shuffle_seed = around.cache, around.seed
        self._account, self._around, self._faults = account, around, faults or Faults()
        name = None if around.seed is None else f"{around.seed}:{account.username}"
        rng = random.Random(name)  # noqa: S311 - no secret
        self._hardware = Hardware.drawn(rng, plugged=not self._faults.unplugged, level=self._faults.level)
        self._cancel_ping: Call | None = None
        self._gone = False

    def log_in(self) -> None:
        """Take tokens, fetch the samples, and report from now on. Raises CallFailed for a wrong password."""
        self.api.log_in(self._account.username, self._account.password)
        for app in self.apps:
            for kind in DatasetType:
                try:
                    app.set_up(kind, self.api.get_samples(kind, app.number))
                except PlatformError as exc:
                    log.warning(
                        "device.no_samples", device=self.username, kind=str(kind), app=app.number, error=str(exc)
                    )
        self._ping()

    def log_out(self) -> None:
        """Forget the tokens; what is planned is cancelled."""
        self.api.log_out()
        self.stop()

    def stop(self) -> None:
        """Fall silent: no more pings, and nothing that is pushed gets an answer."""
        self._gone = True
        if self._cancel_ping is not None:
            self._cancel_ping()

    def receive(self, push: TrainPush) -> bool:
        """Begin the jobs of a round, beside those of any other; not if this phone is gone."""
        if self._gone:
            return False
        self._around.meter.invited((push.project, push.round), time.monotonic())
        jobs = RoundJobs(self, push, self.now_ms())
        steps = [self._unless_gone(push, number, step) for number, step in enumerate(jobs.steps())]
        Chain(self._around.timer, self._around.pace, steps, lambda ending, why: self._end(push, ending, why)).start()
        return True

    def now_ms(self) -> int:
        return round((self._around.clock() + self._faults.clock_ahead_s) * 1000)

    def report(self, **fields: Any) -> bytes:
        return json.dumps({**fields, "device_info": self._hardware.info(self.now_ms())}).encode()

    def reported(self, push: TrainPush, body: bytes) -> None:
        for _ in range(self._faults.repeats):
            self.api.report_availability(body)
        self._around.meter.reported((push.project, push.round), time.monotonic())

    def trained(self, push: TrainPush, loss: float, seconds: float) -> None:
        self._around.meter.trained((push.project, push.round), self.username, loss, seconds)

    def _ping(self) -> None:
        """Fire and forget."""
        if self._gone:
            return
        try:
            self.api.report_availability(self.report(request_type="device-ping"))
        except CallFailed as exc:
            log.warning("device.ping_failed", device=self.username, error=str(exc))
        if not self.api.logged_in:
            self.stop()
            return
        self._cancel_ping = self._around.timer.after(self._around.pace.ping_s, self._ping)

    def _unless_gone(self, push: TrainPush, number: int, step: Callable[[int], bool]) -> Callable[[int], bool]:
        def run(attempt: int) -> bool:
            if self._gone or (number and self._waits_for_app(push)):
                return False
            goes_on = step(attempt)
            if number == 0 and push.round == self._faults.vanishes_in:
                self.stop()
            return goes_on

        return run

    def _waits_for_app(self, push: TrainPush) -> bool:
        return self._faults.without_app is not None and push.mode.startswith("JOINT")

    def _end(self, push: TrainPush, ending: Ending, why: str) -> None:
        if ending is not Ending.DONE:
            log.warning("device.round_ended", device=self.username, round=push.round, ending=str(ending), reason=why)
        self._around.ended(Outcome(self.username, push.round, ending, why))
