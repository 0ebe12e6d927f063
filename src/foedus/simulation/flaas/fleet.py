"""Many phones in one process: one set of connections, a few threads, one cache of features."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import structlog

from foedus.core.errors import PlatformError, Unavailable
from foedus.simulation.flaas.api import FlaasApi, open_client
from foedus.simulation.flaas.device import Account, Device, Faults, Outcome, Surroundings
from foedus.simulation.flaas.meter import Meter
from foedus.simulation.flaas.push import AppCrash, TrainPush
from foedus.simulation.flaas.schedule import Ending, Pace, Schedule

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetOptions:
    """``faults`` by username. ``seed`` makes a run repeatable, as far as the same phones are invited."""

    seed: int | None = None
    workers: int = 4
    pace: Pace = field(default_factory=Pace)
    faults: Mapping[str, Faults] | None = None
    clock: Callable[[], float] = time.time


class Fleet:
    """Use it in a ``with`` block: leaving it ends all jobs, running ones after their present step."""

    def __init__(
        self, url: str, accounts: Sequence[Account], folder: Path, options: FleetOptions | None = None,
        *, transport: httpx.BaseTransport | None = None,
    ) -> None:  # fmt: skip
        options = options or FleetOptions()
        self.meter = Meter()
        self.endings: Counter[Ending] = Counter()
        self.troubles: list[Outcome] = []
        self._client = open_client(url, transport=transport)
        self._schedule = Schedule(options.workers)
        self._changed = threading.Condition()
        self._busy = 0
        around = Surroundings(
            timer=self._schedule, folder=folder, seed=options.seed, pace=options.pace, meter=self.meter,
            clock=options.clock, ended=self._note,
        )  # fmt: skip
        faults = options.faults or {}
        self.devices = {
            account.username: Device(FlaasApi(self._client, self.meter), account, around, faults.get(account.username))
            for account in accounts
        }

    def __enter__(self) -> Self:
        self._schedule.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def log_in(self, said: Callable[[int], None] | None = None) -> None:
        """Log all phones in, which sends their first reports. Raises the first refusal. ``said`` gets their number."""
        done = threading.Semaphore(0)
        refused: list[PlatformError] = []
        for device in self.devices.values():
            self._schedule.after(0, partial(_log_in, device, refused, done))
        for count in range(len(self.devices)):
            done.acquire()
            if refused:
                raise Unavailable(f"a phone could not log in: {refused[0]}")
            if said is not None:
                said(count + 1)

    def deliver(self, recipients: Sequence[str], data: Mapping[str, Any]) -> None:
        """A push, to whichever of its recipients are here."""
        try:
            push = TrainPush.read(data)
        except AppCrash:
            log.exception("fleet.push_crashes_app")
            return
        for username in recipients:
            device = self.devices.get(username)
            if device is not None and push is not None:
                with self._changed:
                    self._busy += device.receive(push)

    def check(self) -> None:
        """Raise what no phone should have run into."""
        self._schedule.check()

    def settle(self, timeout_s: float) -> bool:
        """Wait until no phone is in the middle of a round; whether that came about in time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._busy == 0, timeout_s)

    def stop(self) -> None:
        for device in self.devices.values():
            device.stop()
        self._schedule.__exit__(None, None, None)
        self._client.close()

    def _note(self, outcome: Outcome) -> None:
        with self._changed:
            self._busy -= 1
            self._changed.notify_all()
            self.endings[outcome.ending] += 1
            if outcome.ending is not Ending.DONE:
                self.troubles.append(outcome)


def _log_in(device: Device, refused: list[PlatformError], done: threading.Semaphore) -> None:
    try:
        device.log_in()
    except PlatformError as exc:
        refused.append(exc)
    finally:
        done.release()
