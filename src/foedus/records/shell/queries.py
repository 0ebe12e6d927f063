"""What services ask and change of the shared tables with every call, by name."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from foedus.records.prepared import PreparedInserts
from foedus.records.shell.models import Event

_add_events = PreparedInserts(Event, "seq", "kind", "data", "at")


def add_events(stream: str, events: Sequence[tuple[int, str, dict[str, Any], datetime]]) -> None:
    """The next events of a stream: number, kind, data, moment. Raises IntegrityError when a place is taken."""
    _add_events(events, stream=stream)
