"""Events: written with the change they tell of, announced once it is committed."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

import structlog
from django.db import transaction

from foedus.core.errors import Unavailable
from foedus.ports import Ports
from foedus.ports.bus import MAX_SUBJECT_CHARACTERS
from foedus.records.learning.changes import count_events
from foedus.records.learning.models import Project
from foedus.records.shell.queries import add_events

log = structlog.get_logger()

Happened = tuple[str, dict[str, Any], datetime]


@dataclass(frozen=True, slots=True)
class _Gathering:
    project: int
    happened: list[Happened] = field(default_factory=list)


_gathering: ContextVar[_Gathering | None] = ContextVar("gathering", default=None)


def emit(ports: Ports, project: Project, kind: str, now: datetime, **data: Any) -> None:
    """Add an event to the project's stream; after commit, wake who waits for it. The caller holds the lock."""
    emit_all(ports, project, kind, now, [data])


def emit_all(ports: Ports, project: Project, kind: str, now: datetime, each: Sequence[Mapping[str, Any]]) -> None:
    """Several events of one kind, in their order; who waits for them is woken once."""
    happened = [(kind, dict(data), now) for data in each]
    gathering = _gathering.get()
    if gathering is not None and gathering.project == project.pk:
        gathering.happened.extend(happened)
    else:
        _write(ports, project, happened)


@contextmanager
def gathered(ports: Ports, project: Project) -> Iterator[None]:
    """Write what happens to the project in this block at its end, together, and wake once for all of it.

    Not around savepoints that may be rolled back: what was emitted within them would be told all the same.
    """
    gathering = _Gathering(project.pk)
    token = _gathering.set(gathering)
    try:
        yield
    finally:
        _gathering.reset(token)
    _write(ports, project, gathering.happened)


def wake(ports: Ports, subject: str) -> None:
    """Publish on the bus once the present transaction is committed (at once outside of one)."""
    transaction.on_commit(partial(_publish, ports, subject), robust=True)


def _write(ports: Ports, project: Project, happened: Sequence[Happened]) -> None:
    if not happened:
        return
    numbers = count_events(project, len(happened))
    add_events(project.stream, [(seq, *each) for seq, each in zip(numbers, happened, strict=True)])
    wake(ports, _subject(project.stream, [kind for kind, _, _ in happened]))


def _subject(stream: str, kinds: Sequence[str]) -> str:
    """The stream and what happened to it, the latest first; the stream alone, which is for all, where that is long."""
    subject = ".".join([stream, *dict.fromkeys(kind.replace(".", "-") for kind in reversed(kinds))])
    return subject if len(subject) <= MAX_SUBJECT_CHARACTERS else stream


def _publish(ports: Ports, subject: str) -> None:
    try:
        ports.bus.publish(subject)
    except Unavailable as exc:
        # The state is safe; waiters read it again by themselves, only later.
        log.warning("bus.unavailable", subject=subject, error=str(exc))
