"""A stop that reaches a participant wherever it waits: between rounds, backing off, or in a call to the server."""

import logging
import signal
import threading
import time
from collections.abc import Callable
from typing import Self

log = logging.getLogger("foedus.participant")
TWICE_S = 0.5  # who runs a program for somebody may hand on one Ctrl-C twice, as timeout(1) does


class Stopped(Exception):
    """The participant was asked to leave."""


class Stop(threading.Event):
    """An event that also calls back. A plain ``threading.Event`` does too, but an open long-poll is then waited for."""

    def __init__(self) -> None:
        super().__init__()
        self._callbacks: list[Callable[[], None]] = []

    def set(self) -> None:
        super().set()
        for callback in tuple(self._callbacks):
            callback()

    def on_set(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    def off(self, callback: Callable[[], None]) -> None:
        self._callbacks.remove(callback)

    @classmethod
    def on_signals(cls, *numbers: int) -> Self:
        """A stop that SIGINT and SIGTERM (or the signals named) set; the same signal again does what it did before.

        To be called in the main thread.
        """
        stop = cls()
        came_at: dict[int, float] = {}

        def announce() -> None:
            log.info("leaving; what trains is waited for, unless the same signal (Ctrl-C) comes again")
            stop.set()

        def leave(number: int, _: object) -> None:
            now = time.monotonic()
            if number not in came_at:
                came_at[number] = now
                # It may have interrupted this very thread inside a method of the event, whose lock it holds then.
                threading.Thread(target=announce, name="foedus-stop").start()
            elif now - came_at[number] > TWICE_S:
                signal.signal(number, earlier[number])
                signal.raise_signal(number)

        wanted = numbers or (signal.SIGINT, signal.SIGTERM)
        earlier = {number: signal.signal(number, leave) or signal.SIG_DFL for number in wanted}
        return stop
