"""When a phone's jobs run: at their time, one after the other in a chain, and again after a while when they fail."""

import heapq
import itertools
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from types import TracebackType
from typing import Protocol, Self

from foedus.core.errors import PlatformError
from foedus.simulation.flaas.api import CallFailed

Call = Callable[[], None]
Step = Callable[[int], bool]  # given the attempt, counted from one; False: the chain ends here


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast a phone's time goes by: seconds between pings, and before the first of three repetitions of a job."""

    ping_s: float = 900.0
    backoff_s: float = 30.0
    repetitions: int = 3


class Timer(Protocol):
    def after(self, seconds: float, call: Call) -> Call:
        """Have ``call`` called by some thread; what comes back takes that back, if it is not too late."""
        ...


class Schedule:
    """Calls on a few threads at their times; leaving the context drops what has not begun and waits for the rest.

    The first error that a call lets out is kept, and raised by ``check``.
    """

    def __init__(self, workers: int = 4) -> None:
        self._due: list[tuple[float, int, Call]] = []
        self._cancelled: set[int] = set()
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._closed = False
        self._error: BaseException | None = None
        self._threads = [threading.Thread(target=self._work, name=f"phones-{n}") for n in range(workers)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def after(self, seconds: float, call: Call) -> Call:
        number = next(self._numbers)
        with self._changed:
            heapq.heappush(self._due, (time.monotonic() + seconds, number, call))
            self._changed.notify()
        return partial(self._cancel, number)

    def check(self) -> None:
        if self._error is not None:
            raise self._error

    def _cancel(self, number: int) -> None:
        with self._changed:
            if any(number == waiting for _, waiting, _ in self._due):
                self._cancelled.add(number)

    def _work(self) -> None:
        while (call := self._next()) is not None:
            try:
                call()
            except BaseException as exc:  # noqa: BLE001 - handed to whoever calls check
                self._error = self._error or exc

    def _next(self) -> Call | None:
        with self._changed:
            while not self._closed:
                wait_s = self._due[0][0] - time.monotonic() if self._due else None
                if wait_s is None or wait_s > 0:
                    self._changed.wait(wait_s)
                    continue
                _, number, call = heapq.heappop(self._due)
                if number not in self._cancelled:
                    self._changed.notify()  # the next one may be due as well
                    return call
                self._cancelled.discard(number)
        return None


class Ending(StrEnum):
    DONE = "done"
    STOPPED = "stopped"  # by a step that found that there is no point in going on
    GAVE_UP = "gave up"  # after the last repetition
    FAILED = "failed"  # for something that no repetition would mend


class Chain:
    """Jobs that follow each other. One that a call fails starts from its own beginning, later and later.

    Whatever else goes wrong in a job ends the chain: an app's uncaught errors do, without a word to the server.
    """

    def __init__(self, timer: Timer, pace: Pace, steps: Sequence[Step], ended: Callable[[Ending, str], None]) -> None:
        self._timer, self._pace, self._steps, self._ended = timer, pace, steps, ended

    def start(self) -> None:
        self._enqueue(0, 1, 0.0)

    def _enqueue(self, index: int, attempt: int, delay_s: float) -> None:
        self._timer.after(delay_s, partial(self._run, index, attempt))

    def _run(self, index: int, attempt: int) -> None:
        try:
            goes_on = self._steps[index](attempt)
        except CallFailed as exc:
            if attempt > self._pace.repetitions:
                self._ended(Ending.GAVE_UP, str(exc))
            else:
                self._enqueue(index, attempt + 1, self._pace.backoff_s * 2 ** (attempt - 1))
        except (PlatformError, ArithmeticError, LookupError, OSError, TypeError, ValueError) as exc:
            self._ended(Ending.FAILED, str(exc) or repr(exc))
        else:
            if not goes_on:
                self._ended(Ending.STOPPED, "")
            elif index + 1 == len(self._steps):
                self._ended(Ending.DONE, "")
            else:
                self._enqueue(index + 1, 1, 0.0)
