"""Updates: checked, stored, accepted exactly once, and what follows from the one that was missing."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from math import isfinite
from typing import Any

import structlog
from django.db import Error as DatabaseError
from django.db import transaction
from django.db.models import Max

from foedus.core.errors import Invalid, Late, NotFound, PlatformError, Replayed, Unavailable
from foedus.core.rounds import Offer, Phase, Policy, RoundView
from foedus.ports import Ports
from foedus.records.learning.models import Checkpoint, Invitation, Membership, Project, Round, Update
from foedus.records.learning.queries import (
    find_latest_checkpoint,
    find_open_round,
    get_membership,
    get_project,
    get_round,
    lock_project,
)
from foedus.services.learning.models_in import checked_model, size_limit, store
from foedus.services.learning.projects import layout_of
from foedus.services.learning.rounds import advance, open_round, policy_of
from foedus.services.shell.authorisation import Actor, Verb, require
from foedus.services.shell.events import emit
from foedus.services.shell.staging import Staged

log = structlog.get_logger()

MAX_METRICS = 64
MAX_METRIC_NAME_CHARACTERS = 100
MAX_EXAMPLES = 1e12


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitUpdate:
    """One participant's update for the round that its task named. ``examples`` is its weight."""

    project: str
    round: int
    examples: float
    metrics: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (isfinite(self.examples) and 0 < self.examples <= MAX_EXAMPLES):
            raise Invalid(f"examples must be a number above 0 and at most {MAX_EXAMPLES:g}", field="examples")
        check_metrics(self.metrics)


@dataclass(frozen=True, slots=True)
class Expected:
    """The answer to an announced update: how large it may be; or that it is here already."""

    limit_bytes: int
    receipt: Update | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """A body that is kept for good: ``blob`` holds it as safetensors, ``digest`` tells its content from others."""

    blob: str
    digest: str
    size_bytes: int


def check_metrics(metrics: Mapping[str, Any]) -> None:
    """Raise Invalid unless these are few, finite numbers under short names."""
    if len(metrics) > MAX_METRICS:
        raise Invalid(f"at most {MAX_METRICS} metrics, not {len(metrics)}", field="metrics")
    for name, value in metrics.items():
        if not name or len(name) > MAX_METRIC_NAME_CHARACTERS or not name.isprintable():
            raise Invalid(f"a metric's name is 1 to {MAX_METRIC_NAME_CHARACTERS} printable characters", field="metrics")
        if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
            raise Invalid(f"metric {name!r} must be a finite number", field="metrics")


def expect_update(ports: Ports, actor: Actor, command: SubmitUpdate, digest: str | None, *, now: datetime) -> Expected:
    """Look before the body is read: refuse what cannot be accepted, answer what was accepted before."""
    project = get_project(command.project)
    require(actor, Verb.WORK, project)
    membership = get_membership(project, actor.id)
    limit = size_limit(layout_of(project))
    if digest is not None and (known := _find_same(membership, command, digest)) is not None:
        return Expected(limit, known)
    try:
        _admitting_round(project, membership, command.round, now)
    except Late:
        _end_task(ports, actor, project, command.round, now)
        raise
    return Expected(limit)


def submit_update(
    ports: Ports, actor: Actor, command: SubmitUpdate, body: Staged, *, now: datetime
) -> tuple[Update, bool]:
    """Accept the update, durably, and let the round move on. Gives it and whether it is new.

    Raises Invalid (content), Forbidden (not invited), Late (the round is over), Replayed (other content before).
    Whatever is raised, nothing is left behind.
    """
    found = get_project(command.project)
    require(actor, Verb.WORK, found)
    checked_model(body, layout_of(found))
    blob = store(ports, f"projects/{found.pk}/updates", body)
    try:
        update, is_new = _accept(ports, actor, found, command, body, blob, now)
    except PlatformError as exc:
        _forget(ports, blob)
        if isinstance(exc, Late):
            _end_task(ports, actor, found, command.round, now)
        raise
    except BaseException:
        _forget_unless_counted(ports, actor, command.round, blob)
        raise
    if not is_new:
        _forget(ports, blob)
    return update, is_new


def record_update(
    ports: Ports, project: Project, membership: Membership, command: SubmitUpdate, body: Stored, *, now: datetime
) -> tuple[Update, bool]:
    """Count an update whose checked body is stored already, and let the round move on. Gives it and whether it is new.

    The caller holds the project's lock. Raises Forbidden, Late, Replayed, NotFound, before anything is written.
    """
    if (known := _find_same(membership, command, body.digest)) is not None:
        return known, False
    current, sequence, base, staleness = _admitting_round(project, membership, command.round, now)
    update = Update.objects.create(
        round=current,
        membership=membership,
        task_round=command.round,
        sequence=sequence,
        base=base,
        staleness=staleness,
        examples=command.examples,
        digest=body.digest,
        size_bytes=body.size_bytes,
        blob=body.blob,
        metrics=dict(command.metrics),
        accepted_at=now,
    )
    Invitation.objects.filter(membership=membership, round__number=command.round, round__project=project).update(
        state=Invitation.State.REPORTED, closed_at=now
    )
    Membership.objects.filter(pk=membership.pk).update(seen_at=now)
    emit(
        ports, project, "update.accepted", now,
        round=current.number, participant=membership.participant.name, participant_id=membership.participant_id,
        examples=command.examples, metrics=dict(command.metrics),
    )  # fmt: skip
    advance(ports, project, now, absences=False, current=current)
    return update, True


def admit_update(
    ports: Ports,
    project: Project,
    membership: Membership,
    base: Checkpoint,
    *,
    blob: str,
    digest: str,
    size_bytes: int,
    now: datetime,
) -> Update:
    """Count a checked and stored update, of weight 1, in the open round, which is opened if there is none.

    For dialects whose updates name no round; works while a project is paused, too. The caller holds the project's lock
    and calls ``advance`` afterwards. Raises Unavailable while the round is being combined, and what the policy raises.
    """
    current = find_open_round(project) or open_round(ports, project, now)
    latest = find_latest_checkpoint(project)
    staleness = latest.number - base.number if latest else 0
    mine = Update.objects.filter(membership=membership, task_round=current.number)
    earlier = Update.objects.filter(membership=membership, round=current).count()
    _admit(project, current, policy_of(current), membership, current.number, staleness, earlier, now)
    newest = mine.aggregate(newest=Max("sequence"))["newest"]
    update = Update.objects.create(
        round=current,
        membership=membership,
        task_round=current.number,
        sequence=0 if newest is None else newest + 1,
        base=base,
        staleness=staleness,
        examples=1.0,
        digest=digest,
        size_bytes=size_bytes,
        blob=blob,
        accepted_at=now,
    )
    Membership.objects.filter(pk=membership.pk).update(seen_at=now)
    emit(
        ports, project, "update.accepted", now,
        round=current.number, participant=membership.participant.name, participant_id=membership.participant_id,
        examples=1.0, metrics={},
    )  # fmt: skip
    return update


def _accept(
    ports: Ports, actor: Actor, found: Project, command: SubmitUpdate, body: Staged, blob: str, now: datetime
) -> tuple[Update, bool]:
    with transaction.atomic():
        project = lock_project(found.pk)
        membership = get_membership(project, actor.id)
        stored = Stored(blob, body.digest, body.size_bytes)
        return record_update(ports, project, membership, command, stored, now=now)


def _admitting_round(
    project: Project, membership: Membership, task_round: int, now: datetime
) -> tuple[Round, int, Checkpoint, int]:
    """The round that would count an update for ``task_round``, its sequence there, its base, and how stale that is."""
    task = get_round(project, task_round)
    current = task if task.state.is_open else find_open_round(project)
    policy = policy_of(current or task)
    sequence = Update.objects.filter(membership=membership, task_round=task_round).count()
    if sequence and policy.updates_per_participant == 1:
        raise Replayed(
            f"you handed in another update for round {task_round} before; it stays as it was", round=task_round
        )
    if current is None or (current.number != task_round and not policy.open_ended):
        raise Late(f"round {task_round} is over ({task.phase}); your update is not counted", round=task_round)
    latest = find_latest_checkpoint(project)
    staleness = latest.number - task.base.number if latest else 0
    # Where updates cannot wander into later rounds, those for this task are those in this round.
    earlier = Update.objects.filter(membership=membership, round=current).count() if policy.open_ended else sequence
    _admit(project, current, policy, membership, task_round, staleness, earlier, now)
    return current, sequence, task.base, staleness


def _admit(
    project: Project,
    current: Round,
    policy: Policy,
    membership: Membership,
    task_round: int,
    staleness: int,
    earlier: int,
    now: datetime,
) -> None:
    if current.state is Phase.COMBINING and policy.open_ended:
        raise Unavailable(
            "a new checkpoint is just being made; hand the update in again in a moment", retry_after_s=0.5
        )
    invited = Invitation.objects.filter(
        membership=membership,
        round__project=project,
        round__number=task_round,
        state__in=(Invitation.State.OPEN, Invitation.State.LOST),
    ).exists()
    offer = Offer(str(membership.pk), invited, task_round, staleness, earlier)
    policy.admit(RoundView(current.number, current.state, current.opened_at), offer, now)


def check_same(known: Update, command: SubmitUpdate) -> None:
    """Raise Replayed unless ``command`` says of the update what was said of it when it was accepted."""
    if known.examples != command.examples or known.metrics != dict(command.metrics):
        raise Replayed(
            f"you handed in this update for round {known.task_round} before, with other examples or metrics;"
            " it stays as it was",
            round=known.task_round,
        )


def _find_same(membership: Membership, command: SubmitUpdate, digest: str) -> Update | None:
    """The update that ``command`` repeats, if any. Raises Replayed when it says something else about its bytes."""
    known = Update.objects.filter(membership=membership, task_round=command.round, digest=digest).first()
    if known is not None:
        known.membership = membership  # read already, with its participant, whom receipts name
        check_same(known, command)
    return known


def _end_task(ports: Ports, actor: Actor, found: Project, task_round: int, now: datetime) -> None:
    """A task whose update comes too late is over, so that its participant can be given another one."""
    with transaction.atomic():
        project = lock_project(found.pk)
        ended = Invitation.objects.filter(
            membership__participant_id=actor.id,
            round__project=project,
            round__number=task_round,
            state=Invitation.State.OPEN,
        ).update(state=Invitation.State.CLOSED, closed_at=now)
        if ended:
            advance(ports, project, now)


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


def _is_finite(value: float) -> bool:
    try:
        return isfinite(value)
    except OverflowError:  # an integer beyond all floats
        return False


def _forget(ports: Ports, blob: str) -> None:
    with suppress(NotFound):
        ports.blobs.delete(blob)
