"""Wakes coroutines when something happened to a project they wait for: one bus subscription serves a whole process."""

import asyncio
import threading
from collections import defaultdict

import structlog

from foedus.core.errors import Unavailable
from foedus.ports.bus import Bus

log = structlog.get_logger()

_RETRY_S = 1.0


class Hub:
    """Counts what happened to each project; ``wait`` returns once the count has passed a mark.

    Take the mark first, then read the state, then wait from the mark on: nothing in between is missed.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._loop = asyncio.get_running_loop()
        self._count = 0
        self._latest: dict[str, int] = {}
        self._waiters: defaultdict[str, set[asyncio.Future[None]]] = defaultdict(set)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="hub", daemon=True)
        self._thread.start()

    def mark(self) -> int:
        return self._count

    async def wait(self, stream: str, since: int, timeout_s: float) -> bool:
        """True as soon as something happened to ``stream`` after the mark ``since``; False after ``timeout_s``."""
        if self._latest.get(stream, 0) > since:
            return True
        woken = self._loop.create_future()
        self._waiters[stream].add(woken)
        try:
            await asyncio.wait_for(woken, timeout_s)
        except TimeoutError:
            return False
        finally:
            waiting = self._waiters[stream]
            waiting.discard(woken)
            if not waiting:
                del self._waiters[stream]
        return True

    def close(self) -> None:
        self._stopped.set()

    def _listen(self) -> None:
        while not self._stopped.is_set():
            try:
                subscription = self._bus.subscribe("project")
                while not self._stopped.is_set():
                    message = subscription.next(timeout_s=_RETRY_S)
                    if message is not None:
                        self._tell(message.subject)
            except Unavailable as exc:
                log.warning("bus.unavailable", error=str(exc))
                self._stopped.wait(_RETRY_S)

    def _tell(self, subject: str) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._happened, subject)

    def _happened(self, subject: str) -> None:
        """Wake the waiters of a project; all of them when the bus says that it may have missed something."""
        stream = ".".join(subject.split(".")[:2])
        self._count += 1
        everybody = "." not in stream
        for name in list(self._waiters) if everybody else [stream]:
            self._latest[name] = self._count
            for woken in self._waiters.get(name, ()):
                if not woken.done():
                    woken.set_result(None)
