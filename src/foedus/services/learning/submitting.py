"""Updates on their way in: looked at before the body is read, checked, stored, and counted exactly once."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import structlog
from django.db import Error as DatabaseError
from django.db import transaction

from foedus.core.errors import Late, NotFound, PlatformError, Replayed
from foedus.ports import Ports
from foedus.records.learning.models import Project, Update
from foedus.records.learning.queries import get_membership, lock_project
from foedus.services.learning.admission import admission
from foedus.services.learning.equipment import needs_now, wanted_under
from foedus.services.learning.models_in import check_update, store
from foedus.services.learning.projects import layout_of
from foedus.services.learning.rounds import end_task
from foedus.services.learning.updates import Stored, SubmitUpdate, find_same, record_update
from foedus.services.shell.authorisation import Actor, Verb, membership_of
from foedus.services.shell.staging import Staged

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Expected:
    """The answer to an announced update: how large it may be; or that it is here already."""

    limit_bytes: int
    receipt: Update | None = None


def expect_update(ports: Ports, actor: Actor, command: SubmitUpdate, digest: str | None, *, now: datetime) -> Expected:
    """Look before the body is read: refuse what cannot be accepted, answer what was accepted before."""
    membership = membership_of(actor, Verb.WORK, command.project)
    project = membership.project
    needs = needs_now(project)
    limit = wanted_under(layout_of(project), project, needs).size_bytes
    if digest is not None and (known := find_same(membership, command, digest)) is not None:
        return Expected(limit, known)
    try:
        admission(project, membership, command.round, now)
    except (Late, Replayed) as exc:
        # The same update, sent twice at once, may have been accepted since the look above.
        if digest is not None and (known := find_same(membership, command, digest)) is not None:
            return Expected(limit, known)
        if isinstance(exc, Late):
            end_task(ports, actor.id, project, command.round, now)
        raise
    needs.check_metrics(command.metrics)
    return Expected(limit)


def submit_update(
    ports: Ports, actor: Actor, command: SubmitUpdate, body: Staged, *, now: datetime
) -> tuple[Update, bool]:
    """Accept the update, durably, and let the round move on. Gives it and whether it is new.

    Raises Invalid (content), Forbidden (not invited), Late (the round is over), Replayed (other content before).
    Whatever is raised, nothing is left behind.
    """
    found = membership_of(actor, Verb.WORK, command.project).project
    needs = needs_now(found)
    needs.check_metrics(command.metrics)
    check_update(body, wanted_under(layout_of(found), found, needs))
    blob = store(ports, f"projects/{found.pk}/updates", body)
    try:
        update, is_new = _accept(ports, actor, found, command, body, blob, now)
    except PlatformError as exc:
        _forget(ports, blob)
        if isinstance(exc, Late):
            end_task(ports, actor.id, found, command.round, now)
        raise
    except BaseException:
        _forget_unless_counted(ports, actor, command.round, blob)
        raise
    if not is_new:
        _forget(ports, blob)
    return update, is_new


def _accept(
    ports: Ports, actor: Actor, found: Project, command: SubmitUpdate, body: Staged, blob: str, now: datetime
) -> tuple[Update, bool]:
    with transaction.atomic():
        project = lock_project(found.pk)
        membership = get_membership(project, actor.id)
        stored = Stored(blob, body.digest, body.size_bytes)
        return record_update(ports, project, membership, command, stored, now=now)


def _forget_unless_counted(ports: Ports, actor: Actor, task_round: int, blob: str) -> None:
    """A connection that broke may hide that the database did commit; while it does not answer, the blob stays."""
    rows = Update.objects.filter(membership__participant_id=actor.id, task_round=task_round, blob=blob)
    try:
        is_counted = rows.exists()
    except DatabaseError as exc:
        log.warning("update.blob_left", blob=blob, error=str(exc))
        return
    if not is_counted:
        _forget(ports, blob)


def _forget(ports: Ports, blob: str) -> None:
    with suppress(NotFound):
        ports.blobs.delete(blob)
