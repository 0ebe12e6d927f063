"""A project's events, for those who follow them."""

from foedus.records.learning.queries import get_project
from foedus.records.shell.models import Event
from foedus.services.shell.authorisation import Actor, Verb, require

_BATCH = 500


def open_stream(actor: Actor, key: str) -> str:
    """The name of a project's stream, for one who may read the project. Raises NotFound."""
    project = get_project(key)
    require(actor, Verb.READ, project)
    return project.stream


def events_after(stream: str, seq: int) -> list[Event]:
    """The next events of a stream, oldest first, at most a batch of them."""
    return list(Event.objects.filter(stream=stream, seq__gt=seq).order_by("seq")[:_BATCH])
