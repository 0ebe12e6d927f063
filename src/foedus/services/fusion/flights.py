"""One at a time, and not too many who wait: threads are few, and a cell may take as long as it is given."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

MAX_WAITING = 4  # for one project; others are not kept waiting


@dataclass(slots=True)
class _Flight:
    lock: threading.Lock = field(default_factory=threading.Lock)
    users: int = 0


class Flights:
    """Turns, by key. Safe to use from many threads."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._flights: dict[str, _Flight] = {}

    @contextmanager
    def turn(self, key: str, ends_at: float) -> Iterator[bool]:
        """Whether it is one's turn; not when it does not come by ``ends_at``, or too many wait for it already."""
        with self._guard:
            flight = self._flights.setdefault(key, _Flight())
            flight.users += 1
            crowded = flight.users > 1 + MAX_WAITING
        mine = False
        try:
            mine = not crowded and flight.lock.acquire(timeout=max(0.0, ends_at - time.monotonic()))
            yield mine
        finally:
            if mine:
                flight.lock.release()
            with self._guard:
                flight.users -= 1
                if not flight.users:
                    del self._flights[key]


FLIGHTS = Flights()
