"""Jobs: work that is promised in one transaction and done in others, by whichever worker holds the lease."""

import hashlib
import secrets
from collections.abc import Collection
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, Min, Q

from foedus.core.errors import Conflict, Forbidden
from foedus.ports import Ports
from foedus.records.durability import unsynced
from foedus.records.prepared import Prepared, PreparedDelete, PreparedInsert, PreparedRows, PreparedUpdate
from foedus.records.shell.models import Job
from foedus.records.statements import Slot
from foedus.services.shell import audit
from foedus.services.shell.authorisation import Actor
from foedus.services.shell.events import wake

SUBJECT = "jobs"
LONG_SUBJECT = "streams"  # on which those are woken who do what is long, or never ends
LEASE = timedelta(seconds=6)  # renewed every third of it, so a dead worker's job moves on within seconds
WAITED = timedelta(seconds=1)  # for a worker, after which a job counts as one of too many
LONG_LEASE = "run-"  # begins the tokens of those who are no workers: their leases may be of any length
MAX_BACKOFF_S = 60.0
MAX_ATTEMPTS = 10  # of a job that fails for a reason nobody foresaw
PATIENCE = 10_000  # attempts of one that waits for something that does not answer: about a week

# What every round asks and changes: written once (see ``prepared``).
_add = PreparedInsert(Job, unless_there=True)
_remove = PreparedDelete(lambda: Job.objects.filter(pk=Slot("pk"), lease_token=Slot("token")))
_LEASED = {"state": "state", "attempts": "attempts", "lease_token": "token", "lease_until": "until"}
_lease = PreparedUpdate(lambda: (Job.objects.filter(pk=Slot("pk")), {name: Slot(of) for name, of in _LEASED.items()}))


class LeaseLost(Conflict):
    """Another worker took this job over."""


def enqueue(ports: Ports, kind: str, subject: str, now: datetime, *, after_s: float = 0.0, **payload: Any) -> None:
    """Promise the work in the caller's transaction. A job of this kind and subject that is due already stays alone."""
    run_at = now + timedelta(seconds=after_s)
    added = _add(kind=kind, subject=subject, payload=payload, run_at=run_at, created_at=now)
    if added.pk and not after_s:
        wake(ports, subject_of(kind))


def subject_of(kind: str) -> str:
    """Below ``SUBJECT``, so that who does other kinds need not look."""
    return f"{SUBJECT}.{kind}"


def claim(now: datetime, owner: str = "", *, without: Collection[str] = (), **only: Any) -> Job | None:
    """The next job that is due, leased to ``owner`` (see ``owner_of``); None when there is none.

    ``only`` jobs with these columns, and ``without`` these kinds, for those who do not do everything.
    """
    if not is_due(now, without=without, **only):  # whoever only looks must not stand in writers' way
        return None
    with unsynced():
        job = _claimable(*_lane(without, only), lock=True).first(**_moments(now))
        if job is None:
            return None
        job.state = Job.State.RUNNING
        job.attempts += 1
        job.lease_token = owner + secrets.token_hex(16)[len(owner) :]
        job.lease_until = now + LEASE
        _lease(pk=job.pk, state=job.state, attempts=job.attempts, token=job.lease_token, until=job.lease_until)
        return job


def is_due(now: datetime, *, without: Collection[str] = (), **only: Any) -> bool:
    """Whether ``claim`` would find a job."""
    return _claimable(*_lane(without, only), lock=False).first(**_moments(now)) is not None


def _lane(without: Collection[str], only: dict[str, Any]) -> tuple[frozenset[str], tuple[tuple[str, Any], ...]]:
    return frozenset(without), tuple(sorted(only.items()))


def _moments(now: datetime) -> dict[str, datetime]:
    return {"now": now, "too_far": now + 2 * timedelta(seconds=MAX_BACKOFF_S), "too_long": now + 2 * LEASE}


@lru_cache(maxsize=64)
def _claimable(without: frozenset[str], only: tuple[tuple[str, Any], ...], *, lock: bool) -> Prepared[Job]:
    """The next job that may be claimed. Moments that are too far away were written before the clock was set back."""
    queued = Q(attempts=0, run_at=F("created_at")) | Q(run_at__lte=Slot("now")) | Q(run_at__gt=Slot("too_far"))
    too_long = Q(lease_until__gt=Slot("too_long")) & ~Q(lease_token__startswith=LONG_LEASE)
    lapsed = Q(lease_until__lt=Slot("now")) | too_long
    ready = Q(state=Job.State.QUEUED) & queued | Q(state=Job.State.RUNNING) & lapsed
    rows = Job.objects.filter(ready, **dict(only)).exclude(kind__in=without).order_by("run_at", "id")[:1]
    return Prepared(lambda: rows.select_for_update(skip_locked=True) if lock else rows)


@lru_cache(maxsize=64)
def _pending(without: frozenset[str], only: tuple[tuple[str, Any], ...]) -> PreparedRows:
    """By state: when the first job may run, and when the first lease lapses."""
    rows = Job.objects.filter(**dict(only)).exclude(kind__in=without).values("state")
    return PreparedRows(
        lambda: rows.annotate(runs=Min("run_at"), lapses=Min("lease_until")).values_list("state", "runs", "lapses")
    )


def turns_of(job: Job, now: datetime, most: int) -> int:
    """How often a job that never ends has its turn before it makes way: once, where it had to wait itself."""
    return 1 if now - job.run_at > WAITED else most


def owner_of(name: str) -> str:
    """What marks the leases of the worker called ``name``, of which at most one is alive at a time."""
    return hashlib.sha256(name.encode()).hexdigest()[:16] if name else ""


def release(owner: str, now: datetime) -> int:
    """Queue again what ``owner`` held when it died, instead of waiting until its leases lapse; how many jobs."""
    held = Job.objects.filter(state=Job.State.RUNNING, lease_token__startswith=owner)
    return held.update(state=Job.State.QUEUED, run_at=now, lease_until=None, lease_token="") if owner else 0


def next_due_at(now: datetime, *, without: Collection[str] = (), **only: Any) -> datetime | None:
    """When ``claim`` could give the next job, if nothing is added before."""
    due = {state: (runs, lapses) for state, runs, lapses in _pending(*_lane(without, only))()}
    runs, lapses = due.get(Job.State.QUEUED, (None, None))[0], due.get(Job.State.RUNNING, (None, None))[1]
    moments = [moment for moment in (runs, lapses) if moment is not None]
    return max(now, min(moments)) if moments else None


def renew(job: Job, now: datetime) -> bool:
    """Keep the lease; False when somebody else holds it by now."""
    mine = Job.objects.filter(pk=job.pk, lease_token=job.lease_token, state=Job.State.RUNNING)
    with unsynced():
        return mine.update(lease_until=now + LEASE) == 1


def complete(job: Job) -> None:
    """Remove a job that is done, in the transaction that keeps its result; LeaseLost when another has it."""
    if not _remove(pk=job.pk, token=job.lease_token):
        raise LeaseLost(job=job.pk)


def postpone(job: Job, error: str, now: datetime, *, most_s: float = MAX_BACKOFF_S) -> None:
    """Try again later, twice as late as the last time, but not later than ``most_s`` from now."""
    delay = min(most_s, 0.25 * 2 ** min(job.attempts, 16))
    Job.objects.filter(pk=job.pk, lease_token=job.lease_token).update(
        state=Job.State.QUEUED, run_at=now + timedelta(seconds=delay), lease_until=None, latest_error=error[:2000]
    )


def set_right(ports: Ports, now: datetime) -> None:
    """The clock was set back: what is tried again later is due now, and not when the clock gets there once more."""
    later = Job.objects.filter(state=Job.State.QUEUED, attempts__gt=0, run_at__gt=now)
    kinds = set(later.values_list("kind", flat=True))
    if not kinds:
        return
    with transaction.atomic():
        later.update(run_at=now)
        for kind in kinds:
            wake(ports, subject_of(kind))


def retry(ports: Ports, actor: Actor, job: Job, *, now: datetime) -> None:
    """Queue a job that was given up once more. Jobs belong to no organisation: superusers only.

    Raises Forbidden; Conflict when another one of its kind and subject is due.
    """
    if not actor.superuser:
        raise Forbidden("only superusers queue jobs again")
    try:
        with transaction.atomic():
            again = Job.objects.filter(pk=job.pk, state=Job.State.FAILED).update(
                state=Job.State.QUEUED, attempts=0, run_at=now, lease_until=None, lease_token=""
            )
            if not again:
                return
            audit.record(actor, "retry", f"job:{job.pk}", organisation_id=None, now=now, kind=job.kind)
    except IntegrityError:
        raise Conflict("another job does this work already", job=job.pk) from None
    wake(ports, SUBJECT)


def give_up(job: Job, error: str) -> bool:
    """Keep a job that cannot be done, for people to see; False when it is another worker's by now."""
    mine = Job.objects.filter(pk=job.pk, lease_token=job.lease_token)
    return mine.update(state=Job.State.FAILED, lease_until=None, latest_error=error[:2000]) == 1
