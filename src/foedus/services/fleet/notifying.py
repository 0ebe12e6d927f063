"""Telling phones that they are invited. Until the push service has taken that over, they do not know."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from math import ceil

import structlog
from django.db import transaction

from foedus.core.errors import PlatformError, Unavailable
from foedus.core.rounds import Phase
from foedus.ports import Ports
from foedus.ports.push import PushMessage
from foedus.records.fleet.queries import round_number
from foedus.records.learning.models import Invitation, Membership, Round
from foedus.records.learning.queries import lock_project
from foedus.records.shell.models import Job
from foedus.services.fleet.seeds import record_seed
from foedus.services.learning.rounds import advance
from foedus.services.shell import jobs
from foedus.services.shell.events import emit

log = structlog.get_logger()

INVITED_JOB = "flaas.invited"
BATCH = 1000  # the most recipients that push services take at once
MAX_ATTEMPTS = 8  # with the pauses between them, some two minutes
UNREACHABLE = "the push service did not take its invitation"


def notify(ports: Ports, job: Job, *, now: datetime) -> None:
    """Do a "flaas.invited" job: push to whoever was invited and does not know it. Starting anew repeats little.

    Raises Unavailable to be tried again. After the last try the round goes on without those who could not be told.
    """
    current = Round.objects.select_related("project__fleet").filter(pk=job.payload["round"]).first()
    if current is None or current.state is not Phase.COLLECTING:
        jobs.complete(job)
        return
    record_seed(current)
    try:
        for batch in _batches(current):
            ports.push.send(_message(current, batch, now))
            Invitation.objects.filter(pk__in=[invitation.pk for invitation in batch]).update(notified_at=now)
    except PlatformError as exc:
        if isinstance(exc, Unavailable) and job.attempts < MAX_ATTEMPTS:
            raise
        _go_on_without(ports, job, current, exc, now)
    else:
        jobs.complete(job)


def _untold(current: Round) -> "Iterator[Invitation]":
    return (
        Invitation.objects.filter(
            round=current,
            state=Invitation.State.OPEN,
            notified_at=None,
            membership__participant__device__isnull=False,
        )
        .select_related("membership__participant__device__user")
        .order_by("pk")
        .iterator(chunk_size=BATCH)
    )


def _batches(current: Round) -> Iterator[list[Invitation]]:
    untold = list(_untold(current))
    for start in range(0, len(untold), BATCH):
        yield untold[start : start + BATCH]


def _message(current: Round, batch: Sequence[Invitation], now: datetime) -> PushMessage:
    """What phones expect: flat, with every number that their app reads without looking whether it is there."""
    ends_at = current.deadline_at or now
    first = batch[0]
    return PushMessage(
        id=f"train-{current.pk}-{first.pk}-{first.invited_at.timestamp():.0f}",
        kind="train",
        recipients=[invitation.membership.participant.device.user.username for invitation in batch],
        data={
            "type": "train",
            "validDate": round(ends_at.timestamp() * 1000),
            "request": current.pk,
            "project": current.project_id,
            "round": round_number(current),
            "trainingMode": current.project.fleet.training_mode,
        },
        ttl_s=max(1, ceil((ends_at - now).total_seconds())),
    )


def _go_on_without(ports: Ports, job: Job, current: Round, exc: PlatformError, now: datetime) -> None:
    """Nobody waits for phones that were never told. Their next report makes them ready again, and not before:
    inviting them at once would only fail once more.
    """
    log.error("fleet.push_failed", round=current.pk, project=current.project_id, error=str(exc))
    with transaction.atomic():
        project = lock_project(current.project_id)
        jobs.complete(job)
        untold = list(_untold(current))
        Invitation.objects.filter(pk__in=[invitation.pk for invitation in untold]).update(
            state=Invitation.State.LOST, note=UNREACHABLE, closed_at=now
        )
        Membership.objects.filter(pk__in=[invitation.membership_id for invitation in untold]).update(
            obstacle=UNREACHABLE
        )
        emit(ports, project, "invitations.failed", now, round=current.number, devices=len(untold), error=exc.message)
        advance(ports, project, now)
