"""What services ask and change of the shared tables with every call, by name."""

from datetime import datetime
from typing import Any

from foedus.records.prepared import PreparedInsert
from foedus.records.shell.models import Event

_add_event = PreparedInsert(Event)


def add_event(stream: str, seq: int, kind: str, data: dict[str, Any], at: datetime) -> Event:
    """The next event of a stream. Raises IntegrityError when its place is taken."""
    return _add_event(stream=stream, seq=seq, kind=kind, data=data, at=at)
