"""Checkpoints for those who may have them; what is said of them; and what is made of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction

from foedus.core.errors import Conflict, Invalid, PlatformError
from foedus.ports import Ports
from foedus.records.learning.models import Artifact, Checkpoint, Project
from foedus.records.learning.queries import get_checkpoint, get_project, lock_project
from foedus.services.learning.measuring import find_model
from foedus.services.shell import audit
from foedus.services.shell.authorisation import Actor, Kind, Verb, membership_of, memberships_of, require
from foedus.services.shell.events import emit
from foedus.services.shell.groups import in_groups

MAX_VERSION_CHARACTERS = 255


@dataclass(frozen=True, slots=True)
class Wanted:
    """A checkpoint that somebody wants to see: by number, the latest for None, or the project's model (``best``)."""

    actor: Actor
    key: str
    number: int | None
    best: bool = False


def read_best_checkpoint(actor: Actor, key: str) -> Checkpoint:
    """The checkpoint that is the project's model by its own rule: the latest, where it has none. Raises NotFound."""
    return _read(Wanted(actor, key, None, best=True))


def read_checkpoint(actor: Actor, key: str, number: int | None) -> Checkpoint:
    """A checkpoint by number, or the latest. Raises NotFound."""
    return _read(Wanted(actor, key, number))


def _read(wanted: Wanted) -> Checkpoint:
    (found,) = read_checkpoints([wanted])
    if isinstance(found, Exception):
        raise found
    return found


def read_checkpoints(wanted: Sequence[Wanted]) -> list[Checkpoint | Exception]:
    """Checkpoints, or in its asker's place what one is refused with. What is asked for twice is read once."""
    return in_groups(wanted, lambda one: one.key, _read_of_project)


def _read_of_project(key: str, wanted: Sequence[Wanted]) -> Iterator[Checkpoint | PlatformError]:
    participants = [one.actor for one in wanted if one.actor.kind is Kind.PARTICIPANT]
    members = iter(memberships_of(participants, Verb.READ, key))
    read: dict[tuple[int | None, bool], Checkpoint] = {}
    for one in wanted:
        member = next(members) if one.actor.kind is Kind.PARTICIPANT else None
        try:
            if isinstance(member, PlatformError):
                raise member
            project = member.project if member is not None else readable_project(one.actor, key)
            place = one.number, one.best
            if place not in read:
                read[place] = (find_model(project) if one.best else None) or get_checkpoint(project, one.number)
            yield read[place]
        except PlatformError as exc:
            yield exc


def readable_project(actor: Actor, key: str) -> Project:
    """The project, for those who may read it; of a participant that is one question. Raises NotFound."""
    if actor.kind is Kind.PARTICIPANT:
        return membership_of(actor, Verb.READ, key).project
    project = get_project(key)
    require(actor, Verb.READ, project)
    return project


def publish_artifact(
    ports: Ports, actor: Actor, key: str, number: int, version: str, *, now: datetime
) -> tuple[Artifact, bool]:
    """Give a checkpoint a version's name. Raises Conflict when the name stands for another one."""
    found = get_project(key)
    require(actor, Verb.CHANGE, found)
    if not version.strip() or len(version) > MAX_VERSION_CHARACTERS or not version.isprintable():
        raise Invalid(f"a version is 1 to {MAX_VERSION_CHARACTERS} printable characters", field="version")
    checkpoint = get_checkpoint(found, number)
    try:
        with transaction.atomic():
            project = lock_project(found.pk)
            artifact, is_new = Artifact.objects.select_related("checkpoint").get_or_create(
                project=project, version=version, defaults={"checkpoint": checkpoint, "created_at": now}
            )
            if artifact.checkpoint_id != checkpoint.pk:
                raise Conflict(f"version {version!r} stands for checkpoint {artifact.checkpoint.number}")
            if is_new:
                emit(ports, project, "artifact.published", now, checkpoint=number, version=version)
                audit.record(
                    actor, "publish", f"artifact:{key}/{version}",
                    organisation_id=project.organisation_id, now=now, checkpoint=number,
                )  # fmt: skip
    except IntegrityError:
        raise Conflict(f"version {version!r} is just being published") from None
    return artifact, is_new
