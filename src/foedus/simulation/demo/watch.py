"""Follows a project's events and shows its rounds until it is finished."""

import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from foedus.core.errors import PlatformError, Unavailable
from foedus.sdk import Event, Operator
from foedus.simulation.table import RoundRow, RoundTable

_CHECK_S = 1.0  # how often to look whether the processes are still there, should nothing happen


def watch(
    operator: Operator, project: str, table: RoundTable, score: Callable[[int], float], check: Callable[[], None]
) -> list[RoundRow]:
    """Show rounds until the project is finished; ``score`` gives a checkpoint's accuracy, ``check`` may raise."""
    events: queue.Queue[Event | PlatformError] = queue.Queue()
    stop = threading.Event()
    follower = threading.Thread(target=_follow, args=(operator, project, events, stop), daemon=True)
    follower.start()
    view = _View(operator, project, table, score)
    try:
        while not view.finished:
            check()
            with suppress(queue.Empty):
                event = events.get(timeout=_CHECK_S)
                if isinstance(event, PlatformError):
                    raise event
                view.show(event)
    finally:
        stop.set()
    return view.rows


def _follow(
    operator: Operator, project: str, events: "queue.Queue[Event | PlatformError]", stop: threading.Event
) -> None:
    try:
        for event in operator.events(project, after=0, stop=stop):
            events.put(event)
    except PlatformError as exc:
        events.put(exc)


class _View:
    def __init__(self, operator: Operator, project: str, table: RoundTable, score: Callable[[int], float]) -> None:
        self._operator = operator
        self._project = project
        self._table = table
        self._score = score
        self._opened: dict[int, datetime] = {}
        self._invited = 0
        self._reported: set[str] = set()
        self.rows: list[RoundRow] = []
        self.finished = False

    def show(self, event: Event) -> None:
        data = event.data
        match event.kind:
            case "round.opened":
                self._opened[data["round"]] = datetime.fromisoformat(data["at"])
            case "participant.joined":
                self._table.waiting(f"{data['participant']} joined", reported=0)
            case "round.started":
                self._invited, self._reported = data["invited"], set()
                self._table.round_started(data["round"], self._invited)
                self._wait()
            case "update.accepted":
                self._reported.add(data["participant"])
                self._wait()
            case "participant.lost":
                self._table.waiting(f"{data['participant']} is gone; waiting for somebody to take its place")
            case "round.invalid":
                self._table.waiting(data["reason"]["text"])
            case "round.complete":
                self._complete(event)
            case "project.finished":
                self.finished = True
            case "project.paused":
                raise Unavailable(self._operator.project(self._project).reasons[0].text)

    def _wait(self) -> None:
        missing = self._invited - len(self._reported)
        text = f"waiting for {missing} of {self._invited}" if missing else "combining"
        self._table.waiting(text, len(self._reported))

    def _complete(self, event: Event) -> None:
        data = event.data
        seconds = datetime.fromisoformat(data["at"]) - self._opened[data["round"]]
        row = RoundRow(
            number=data["round"],
            reported=len(self._reported),
            invited=self._invited,
            seconds=seconds.total_seconds(),
            loss=data["metrics"].get("loss"),
            accuracy=self._score(data["checkpoint"]),
        )
        self.rows.append(row)
        self._table.round_finished(row)
