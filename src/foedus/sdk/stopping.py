"""A stop that reaches a participant wherever it waits: between rounds, backing off, or in a call to the server."""

import signal
import threading
from collections.abc import Callable
from typing import Self


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
        """A stop that SIGINT and SIGTERM (or the signals named) set. To be called in the main thread."""
        stop = cls()

        def leave(*_: object) -> None:
            # The signal may have interrupted this very thread inside a method of the event, whose lock it holds then.
            threading.Thread(target=stop.set, name="foedus-stop").start()

        for number in numbers or (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, leave)
        return stop
