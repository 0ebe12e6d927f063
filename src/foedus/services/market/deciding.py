"""One thread decides, others ask it and wait for its answer: so what a session is changes in one place at a time."""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

from foedus.core.errors import Conflict, PlatformError, Unavailable

T = TypeVar("T")
_PATIENCE_S = 30.0


class SessionOver(Unavailable):
    """This node does not lead the session any more, or not just now."""


class SessionLost(Conflict):
    """Another process leads this session by now."""


class Decisions:
    """What is to be done by the one thread that decides, in the order in which it was asked for."""

    def __init__(self) -> None:
        self._asked: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = queue.SimpleQueue()
        self._closed = threading.Event()

    def ask(self, act: Callable[[], T]) -> T:
        """What ``act`` gives or raises, done by the thread that decides. Raises SessionOver where nobody does."""
        future = self.leave(act)
        try:
            return future.result(_PATIENCE_S)
        except TimeoutError:
            raise SessionOver from None

    def leave(self, act: Callable[[], T]) -> Future[T]:
        """Have it done, and do not wait."""
        future: Future[T] = Future()
        self._asked.put((act, future))
        if self._closed.is_set():
            self.close()  # nobody looks any more
        return future

    def take(self, wait_s: float) -> None:
        """Do what is asked for by now, or else what comes first within that time.

        Who asked hears of errors, and they stop there. Those that end the session are raised here as well: SessionLost,
        and what nobody expected.
        """
        with suppress(queue.Empty):
            self._do(*self._asked.get(timeout=wait_s))
            while True:
                self._do(*self._asked.get_nowait())

    def close(self) -> None:
        """Whoever waits, or asks from now on, is told that the session is over."""
        self._closed.set()
        with suppress(queue.Empty):
            while True:
                _, future = self._asked.get_nowait()
                future.set_exception(SessionOver())

    def _do(self, act: Callable[[], Any], future: "Future[Any]") -> None:
        try:
            future.set_result(act())
        except PlatformError as exc:
            future.set_exception(exc)
            if isinstance(exc, SessionLost):
                raise
        except BaseException:
            future.set_exception(SessionOver())
            raise
