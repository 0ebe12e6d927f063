"""A project's events, for those who follow them, for as long as they may."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from foedus.core.errors import Unauthenticated
from foedus.records.learning.models import Project
from foedus.records.learning.queries import get_project
from foedus.records.shell.models import Event
from foedus.services.accounts.credentials import authenticate
from foedus.services.shell.authorisation import Actor, Kind, Verb, may, require

DELETED = "project.deleted"
_BATCH = 500
_PERSONAL = ("participant", "by", "client")  # an event with one of these tells of somebody
_OF_OTHERS = frozenset({"round", "checkpoint"})
_OF_NOBODY = _OF_OTHERS | {
    "key",
    "digest",
    "version",
    "invited",
    "updates",
    "metrics",
    "reason",
    "fields",
    "policy",
    "strategy",
}


@dataclass(frozen=True, slots=True)
class Watch:
    """One who follows a project: by which token, so that the right to it is asked for again with every look."""

    token: str
    project_id: int
    stream: str


@dataclass(frozen=True, slots=True)
class Happening:
    """An event as its reader may know it."""

    seq: int
    kind: str
    at: datetime
    data: dict[str, Any]


def open_watch(actor: Actor, key: str, token: str) -> Watch:
    """For one who may read the project. Raises NotFound."""
    project = get_project(key)
    require(actor, Verb.READ, project)
    return Watch(token, project.pk, project.stream)


def events_after(watch: Watch, seq: int, *, now: datetime) -> Sequence[Happening] | None:
    """The next events, oldest first, at most a batch of them; None once the token or the right to read is gone.

    Those who may not inspect get every event, but of others only what counts: neither names nor what they handed in.
    """
    try:
        actor = authenticate(watch.token, now=now)
    except Unauthenticated:
        return None
    project = Project.objects.filter(pk=watch.project_id).first()
    rows = Event.objects.filter(stream=watch.stream, seq__gt=seq).order_by("seq")[:_BATCH]
    if project is None:  # nobody can be asked for leave any more; that it is gone is all there is to know
        return [Happening(e.seq, e.kind, e.at, e.data) for e in rows if e.kind == DELETED] or None
    if not may(actor, Verb.READ, project):
        return None
    events = [Happening(e.seq, e.kind, e.at, e.data) for e in rows]
    if may(actor, Verb.INSPECT, project):
        return events
    return [replace(event, data=_told(actor, event.data)) for event in events]


def _told(actor: Actor, data: dict[str, Any]) -> dict[str, Any]:
    """What one participant may know of an event. Ids decide: another organisation's may have the same name."""
    if not any(name in data for name in _PERSONAL):
        return {name: value for name, value in data.items() if name in _OF_NOBODY}
    if actor.kind is Kind.PARTICIPANT and data.get("participant_id") == actor.id:
        return data
    return {name: value for name, value in data.items() if name in _OF_OTHERS}
