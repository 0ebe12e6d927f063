"""Wakes coroutines when something happened to a project they wait for: one bus subscription serves a whole process."""

import asyncio
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Iterable

import structlog

from foedus.core.errors import Unavailable
from foedus.ports.bus import Bus

log = structlog.get_logger()

_RETRY_S = 1.0
MAX_STREAMS = 4096  # whose latest event is remembered
# What changes nobody's task. Without this, each of n updates would have all who wait look for work: n squared looks.
_NO_WORK = frozenset(
    {
        "participant-declined",
        "participant-joined",
        "participant-lost",
        "round-combining",
        "score-reported",
        "update-accepted",
    }
)


def work_of(stream: str) -> str:
    """What to wait for instead of ``stream``, if only new tasks matter."""
    return f"{stream} work"


class Hub:
    """Counts what happened to each project; ``wait`` returns once the count has passed a mark.

    Take the mark first, then read the state, then wait from the mark on: nothing in between is missed.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._loop = asyncio.get_running_loop()
        self._count = 0
        self._latest: OrderedDict[str, int] = OrderedDict()
        self._forgotten = 0  # what was forgotten happened no later than this
        self._waiters: defaultdict[str, set[asyncio.Future[bool]]] = defaultdict(set)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="hub", daemon=True)
        self._thread.start()

    def mark(self) -> int:
        return self._count

    async def wait(self, stream: str, since: int, timeout_s: float) -> bool:
        """True as soon as something happened to ``stream`` after the mark ``since``; False after ``timeout_s``.

        ``stream`` is a project's, or ``work_of`` it. Once the hub is closed nobody waits any more.
        """
        if self._latest.get(stream, self._forgotten) > since:
            return True
        if self.is_closed():
            return False
        woken: asyncio.Future[bool] = self._loop.create_future()
        self._waiters[stream].add(woken)
        expiry = self._loop.call_later(timeout_s, _settle, woken, False)
        try:
            return await woken
        finally:
            expiry.cancel()
            waiting = self._waiters[stream]
            waiting.discard(woken)
            if not waiting:
                del self._waiters[stream]

    def is_closed(self) -> bool:
        return self._stopped.is_set()

    def close(self) -> None:
        """Let everybody go who waits, and have nobody wait from now on: the process is about to end."""
        self._stopped.set()
        self._wake(list(self._waiters))

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
        stream, kinds = ".".join(subject.split(".")[:2]), subject.split(".")[2:]
        self._count += 1
        if "." not in stream:
            self._latest.clear()
            self._forgotten = self._count  # also for those who have a mark and do not wait yet
            self._wake(list(self._waiters))
        else:
            self._wake([stream] if kinds and _NO_WORK.issuperset(kinds) else [stream, work_of(stream)])

    def _wake(self, names: Iterable[str]) -> None:
        for name in names:
            self._latest[name] = self._count
            self._latest.move_to_end(name)
            for woken in self._waiters.get(name, ()):
                _settle(woken, True)
        while len(self._latest) > MAX_STREAMS:
            # Whoever asks for it with an older mark is told to look again: once too often, never once too few.
            _, self._forgotten = self._latest.popitem(last=False)


def _settle(woken: "asyncio.Future[bool]", is_news: bool) -> None:  # noqa: FBT001 - the loop hands it on
    if not woken.done():
        woken.set_result(is_news)
