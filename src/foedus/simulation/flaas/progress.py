"""Follows a study's events and shows its rounds as they end."""

import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from foedus.core.errors import PlatformError, Unavailable
from foedus.sdk import Event, Operator
from foedus.simulation.table import RoundRow, RoundTable

_CHECK_S = 1.0  # how often to look whether all is well, should nothing happen


@dataclass(frozen=True, slots=True)
class Judgement:
    """``accuracy`` of the new model; ``loss`` as the phones saw it in their last epoch."""

    accuracy: float
    loss: float | None


@dataclass
class Progress:
    """``judge`` is given the number of a complete round, as the service counts: from one."""

    table: RoundTable
    judge: Callable[[int], Judgement]
    rows: list[RoundRow] = field(default_factory=list)
    invalid: int = 0
    finished_at: float | None = None  # of time.monotonic
    _opened: dict[int, datetime] = field(default_factory=dict)
    _invited: int = 0
    _reported: int = 0
    _shown: int = 0

    def follow(self, operator: Operator, project: str, check: Callable[[], None]) -> None:
        """Until the project is finished. ``check`` may raise; so may the server's being gone."""
        events: queue.Queue[Event | PlatformError] = queue.Queue()
        stop = threading.Event()
        threading.Thread(target=_read, args=(operator, project, events, stop), daemon=True).start()
        try:
            while self.finished_at is None:
                check()
                with suppress(queue.Empty):
                    event = events.get(timeout=_CHECK_S)
                    if isinstance(event, PlatformError):
                        raise event
                    self.show(event)
        finally:
            stop.set()

    def show(self, event: Event) -> None:
        data = event.data
        match event.kind:
            case "round.opened":
                self._opened[data["round"]] = datetime.fromisoformat(data["at"])
            case "round.started":
                self._invited, self._reported, self._shown = data["invited"], 0, 0
                self.table.round_started(data["round"], self._invited)
            case "update.accepted":
                self._reported += 1
                self._wait()
            case "round.invalid":
                self.invalid += 1
                self.table.waiting(data["reason"]["text"])
            case "round.complete":
                self._complete(event)
            case "project.finished":
                self.finished_at = time.monotonic()
            case "project.paused":
                raise Unavailable("the project was paused; foedus status says why")

    def _wait(self) -> None:
        """Every tenth part of a fleet is worth a line."""
        if self._reported == self._invited or self._reported - self._shown >= self._invited / 10:
            self._shown = self._reported
            missing = self._invited - self._reported
            self.table.waiting(f"waiting for {missing} of {self._invited}" if missing else "combining", self._reported)

    def _complete(self, event: Event) -> None:
        number = event.data["round"]
        judged = self.judge(number)
        row = RoundRow(
            number=number,
            reported=self._reported,
            invited=self._invited,
            seconds=(datetime.fromisoformat(event.data["at"]) - self._opened[number]).total_seconds(),
            loss=judged.loss,
            accuracy=judged.accuracy,
        )
        self.rows.append(row)
        self.table.round_finished(row)


def _read(
    operator: Operator, project: str, events: "queue.Queue[Event | PlatformError]", stop: threading.Event
) -> None:
    try:
        for event in operator.events(project, after=0, stop=stop):
            events.put(event)
    except PlatformError as exc:
        events.put(exc)
