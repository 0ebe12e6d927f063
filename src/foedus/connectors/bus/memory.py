"""A bus within this process: threads wake threads."""

from pathlib import Path
from typing import Self

from foedus.connectors.addresses import only_scheme
from foedus.connectors.subscribers import Subscribers
from foedus.ports.bus import BusUnavailable, Subscription, check_message


class MemoryBus:
    """Publishing hands the message over before it returns. Other processes hear nothing."""

    def __init__(self) -> None:
        self._subscribers = Subscribers()
        self._closed = False

    @classmethod
    def from_url(cls, url: str, *, data: Path) -> Self:  # noqa: ARG003  (every connector is called the same way)
        only_scheme(url, "memory")
        return cls()

    def publish(self, subject: str, data: bytes = b"") -> None:
        message = check_message(subject, data)
        if self._closed:
            raise BusUnavailable("The bus has been closed.")
        self._subscribers.deliver(message)

    def subscribe(self, subject: str) -> Subscription:
        return self._subscribers.open(subject)

    def close(self) -> None:
        self._closed = True
        self._subscribers.close()
