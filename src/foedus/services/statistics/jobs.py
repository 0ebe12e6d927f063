"""Work for a customer that takes a while: promised, done by a worker, and its result kept until it expires."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import structlog
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import QuerySet

from foedus.core.errors import Conflict, PlatformError, Unavailable
from foedus.ports import Ports
from foedus.records.customers.models import Customer
from foedus.records.shell.models import Job
from foedus.records.statistics.models import StatisticsJob, StatisticsProject
from foedus.services.shell import jobs as shell
from foedus.services.shell.authorisation import Actor, Kind
from foedus.services.shell.events import wake
from foedus.services.shell.sealing import seal, unseal
from foedus.services.statistics.errors import JobMissing

log = structlog.get_logger()

RUN_JOB = "statistics"
RUN_LONG_JOB = "statistics-long"  # may take hours, and wait for others all the while
FOLLOW_JOB = "stream"  # subject: a stream
LONG_KINDS = frozenset(
    {"learn_source", "forget_source", "encoder_source", "predict_source", "select_model", "auto_select"}
)
KEEP = timedelta(hours=24)
MAX_UNDONE = 1_000  # of one customer
PURPOSE = "bodies of jobs"
_UNDONE = (StatisticsJob.State.WAITING, StatisticsJob.State.RUNNING)


@dataclass(frozen=True, slots=True)
class Running:
    """A job under way. ``done`` writes the result, in the caller's transaction and exactly once."""

    ports: Ports
    row: StatisticsJob
    lease: Job
    now: datetime

    @property
    def actor(self) -> Actor:
        customer = self.row.customer
        return Actor(Kind.CUSTOMER, customer.pk, customer.cid, customer.organisation_id)

    @property
    def project(self) -> StatisticsProject:
        assert self.row.project is not None, "this kind of job is about a project"  # noqa: S101
        return self.row.project

    def body(self) -> Any:
        """The JSON that came with the request."""
        sealed = b"".join(self.ports.blobs.read(self.row.blob))
        return json.loads(unseal(self.ports, sealed, purpose=PURPOSE, about=self.row.blob))

    def report(self, current: int, maximum: int) -> None:
        """How far it has come."""
        StatisticsJob.objects.filter(pk=self.row.pk).update(current=current, maximum=maximum)

    def done(self, **result: Any) -> None:
        """Raises Conflict when another worker took over."""
        shell.complete(self.lease)
        found = {"result": json.dumps(result), "current": self.row.maximum, "error": None}
        _finish(self.row, StatisticsJob.State.DONE, self.now, **found)


Runner = Callable[[Running], None]


def submit(
    ports: Ports, customer: Customer, kind: str, *, project: StatisticsProject | None = None,
    payload: Mapping[str, Any] | None = None, body: Any = None, now: datetime,
) -> StatisticsJob:  # fmt: skip
    """Promise the work. ``body`` may hold rows: it is sealed, and removed once it was taken in."""
    if StatisticsJob.objects.filter(customer=customer, state__in=_UNDONE).count() >= MAX_UNDONE:
        raise Unavailable(f"{MAX_UNDONE} of your jobs wait already; ask for the next when some of them are done")
    blob = ""
    if body is not None:
        blob = f"jobs/{uuid4().hex}"
        text = json.dumps(body, separators=(",", ":")).encode()
        ports.blobs.put(blob, seal(ports, text, purpose=PURPOSE, about=blob))
    with transaction.atomic():
        row = StatisticsJob.objects.create(
            customer=customer, project=project, kind=kind, payload=dict(payload or {}), blob=blob, created_at=now
        )
        shell.enqueue(ports, RUN_LONG_JOB if kind in LONG_KINDS else RUN_JOB, str(row.pk), now)
        if kind in LONG_KINDS:
            wake(ports, shell.LONG_SUBJECT)
    return row


def run(ports: Ports, lease: Job, runners: Mapping[str, Runner], *, now: datetime) -> None:
    """Do the work of one job. What is the customer's mistake, or ours, is its result; what may pass is tried again."""
    row = StatisticsJob.objects.select_related("customer", "project__customer").filter(pk=int(lease.subject)).first()
    if row is None or row.state not in _UNDONE:
        shell.complete(lease)
        return
    _undone(row.pk).update(state=StatisticsJob.State.RUNNING, started_at=now)
    try:
        runners[row.kind](Running(ports, row, lease, now))
    except Unavailable as exc:  # it is tried again; until then whoever asks is told what it waits for
        _undone(row.pk).update(error={"kind": exc.code, "text": exc.message})
        raise
    except (OperationalError, InterfaceError):
        raise
    except Conflict as exc:
        if not shell.renew(lease, now):
            raise  # the lease was lost: another worker does it, or has done it
        _fail(row, lease, exc, now)
    except PlatformError as exc:
        _fail(row, lease, exc, now)
    except Exception as exc:
        log.exception("statistics_job.failed", job=row.pk, kind=row.kind)
        _fail(row, lease, PlatformError(f"something went wrong inside the server: {type(exc).__name__}"), now)
    _forget_body(ports, row)


def abandon(ports: Ports, job: Job, *, now: datetime) -> None:
    """A job that was tried often enough has failed, for the reason that it was postponed for last."""
    row = _undone(int(job.subject)).first()
    if row is not None:
        reason = f": {row.error['text']}" if row.error else ""
        text = f"given up after {job.attempts} attempts{reason}; submit it again"
        error = {"kind": "unavailable", "text": text}
        _finish(row, StatisticsJob.State.FAILED, now, error=error)
        _forget_body(ports, row)


def find_job(customer: Customer, pk: int) -> StatisticsJob:
    """Raises JobMissing."""
    row = StatisticsJob.objects.filter(customer=customer, pk=pk).first()
    if row is None:
        raise JobMissing(job=pk)
    return row


def list_jobs(customer: Customer) -> list[StatisticsJob]:
    """A customer's jobs, the newest first, at most a thousand."""
    return list(StatisticsJob.objects.filter(customer=customer).order_by("-pk")[:1000])


def kill(ports: Ports, customer: Customer, pk: int, *, now: datetime) -> bool:
    """Whether the job is ended now: one that waits never starts, one that is done is removed. Raises JobMissing."""
    row = find_job(customer, pk)
    waiting = StatisticsJob.objects.filter(pk=row.pk, state=StatisticsJob.State.WAITING)
    if waiting.update(state=StatisticsJob.State.KILLED, finished_at=now, expires_at=now + KEEP):
        _forget_body(ports, row)
        return True
    removed, _ = StatisticsJob.objects.filter(pk=row.pk).exclude(state__in=_UNDONE).delete()
    return bool(removed)


def remove_expired(now: datetime) -> int:
    """Remove results that nobody may ask for any more; how many that were."""
    count, _ = StatisticsJob.objects.filter(expires_at__lt=now).delete()
    return count


def _forget_body(ports: Ports, row: StatisticsJob) -> None:
    if row.blob:
        ports.blobs.delete(row.blob)


def _undone(pk: int) -> QuerySet[StatisticsJob]:
    return StatisticsJob.objects.filter(pk=pk, state__in=_UNDONE)


def _fail(row: StatisticsJob, lease: Job, exc: PlatformError, now: datetime) -> None:
    with transaction.atomic():
        shell.complete(lease)
        _finish(row, StatisticsJob.State.FAILED, now, error={"kind": exc.code, "text": exc.message})


def _finish(row: StatisticsJob, state: StatisticsJob.State, now: datetime, **fields: Any) -> None:
    StatisticsJob.objects.filter(pk=row.pk).update(state=state, finished_at=now, expires_at=now + KEEP, **fields)
