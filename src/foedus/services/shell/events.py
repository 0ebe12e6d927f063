"""Events: written with the change they tell of, announced once it is committed."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import structlog
from django.db import transaction

from foedus.core.errors import Unavailable
from foedus.ports import Ports
from foedus.records.learning.changes import count_events
from foedus.records.learning.models import Project
from foedus.records.shell.queries import add_event

log = structlog.get_logger()


def emit(ports: Ports, project: Project, kind: str, now: datetime, **data: Any) -> None:
    """Add an event to the project's stream; after commit, wake who waits for it. The caller holds the lock."""
    emit_all(ports, project, kind, now, [data])


def emit_all(ports: Ports, project: Project, kind: str, now: datetime, each: Sequence[Mapping[str, Any]]) -> None:
    """Several events of one kind, in their order; who waits for them is woken once."""
    for seq, data in zip(count_events(project, len(each)), each, strict=True):
        add_event(project.stream, seq, kind, dict(data), now)
    wake(ports, f"{project.stream}.{kind.replace('.', '-')}")


def wake(ports: Ports, subject: str) -> None:
    """Publish on the bus once the present transaction is committed (at once outside of one)."""
    transaction.on_commit(partial(_publish, ports, subject), robust=True)


def _publish(ports: Ports, subject: str) -> None:
    try:
        ports.bus.publish(subject)
    except Unavailable as exc:
        # The state is safe; waiters read it again by themselves, only later.
        log.warning("bus.unavailable", subject=subject, error=str(exc))
