"""Schedules in this process, for tests: they are kept, and never fire."""

from pathlib import Path
from typing import Self

from foedus.connectors.addresses import only_scheme


class MemorySchedule:
    def __init__(self) -> None:
        self.entries: dict[int, bool] = {}

    @classmethod
    def from_url(cls, url: str, *, data: Path) -> Self:  # noqa: ARG003  (every connector is called the same way)
        only_scheme(url, "memory")
        return cls()

    def keep(self, model: int, *, active: bool) -> None:
        self.entries[model] = active

    def drop(self, model: int) -> None:
        self.entries.pop(model, None)
