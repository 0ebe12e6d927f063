"""No schedule outside of foedus: the default."""

from pathlib import Path
from typing import Self

from foedus.connectors.addresses import only_scheme
from foedus.ports.schedule import NoSchedule


class Without(NoSchedule):
    @classmethod
    def from_url(cls, url: str, *, data: Path) -> Self:  # noqa: ARG003  (every connector is called the same way)
        only_scheme(url, "none")
        return cls()
