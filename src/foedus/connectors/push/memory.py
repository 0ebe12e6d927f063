"""Push messages that stay in this process, to be looked at."""

from pathlib import Path
from typing import Self

from foedus.connectors.addresses import only_scheme
from foedus.ports.push import PushMessage, to_json


class MemoryPush:
    """``sent`` holds what was taken over, oldest first."""

    def __init__(self) -> None:
        self.sent: list[PushMessage] = []

    @classmethod
    def from_url(cls, url: str, *, data: Path) -> Self:  # noqa: ARG003  (every connector is called the same way)
        only_scheme(url, "memory")
        return cls()

    def send(self, message: PushMessage) -> None:
        to_json(message)  # refuses what the others could not send either
        self.sent.append(message)

    def close(self) -> None:
        """Nothing to give back."""
