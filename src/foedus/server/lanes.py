"""How a worker does jobs: in lanes, one for each sort, with as many threads as there is work for.

A thread has its connection to the database, which knows every table: so lanes that have had nothing to do for a while
have none, and a watch (see ``watches``) begins one when a job has come.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import structlog
from django.db import InterfaceError, OperationalError, close_old_connections, transaction

from foedus.core.errors import Conflict, Unavailable
from foedus.ports import Ports
from foedus.ports.bus import Subscription
from foedus.ports.compute import NoCompute
from foedus.ports.ledger import NoLedger
from foedus.records.shell.models import Job
from foedus.server.leases import renewing
from foedus.server.work import ABANDONED, ENDLESS, HANDLERS, LONG, PATIENCE, PAUSES_S, RUNS, SENDING, SESSIONS, SLOW
from foedus.services.shell import jobs

log = structlog.get_logger()

IDLE_S = 5.0  # a worker looks by itself this often, should a wake-up have been lost
WAITS = (Unavailable, OperationalError, InterfaceError)  # what may pass


@dataclass(frozen=True, slots=True)
class LaneSpec:
    """``claims``: which jobs, as ``jobs.claim`` takes it. ``least`` to ``most`` threads do them; ``subject`` wakes.

    One whose ``least`` is 0 is asleep unless a ``watches.Watch`` wakes it.
    """

    name: str
    claims: Mapping[str, Any]
    least: int = 0
    most: int = 1
    subject: str = jobs.SUBJECT


def lanes_of(ports: Ports) -> list[LaneSpec]:
    """What rounds wait for, first; then what may take its time, and what never ends."""
    others = SLOW | LONG | RUNS | SESSIONS | SENDING | ENDLESS
    found = [
        LaneSpec("quick", {"without": others}, least=1),
        LaneSpec("slow", {"kind__in": SLOW}),
        # These have a subject of their own: their threads need not look at every job that others are woken for.
        LaneSpec("long", {"kind__in": LONG}, most=2, subject=jobs.LONG_SUBJECT),
        LaneSpec("sending", {"kind__in": SENDING}, most=4, subject=jobs.LONG_SUBJECT),
        LaneSpec("endless", {"kind__in": ENDLESS}, most=32, subject=jobs.LONG_SUBJECT),
    ]
    if not isinstance(ports.compute, NoCompute):
        found.append(LaneSpec("runs", {"kind__in": RUNS}, most=4))
    if not isinstance(ports.ledger, NoLedger):
        found.append(LaneSpec("sessions", {"kind__in": SESSIONS}, most=8))
    return found


@dataclass(slots=True)
class Lane:
    """The threads of one sort. One more begins when the last free one takes a job; those too many end when idle."""

    ports: Ports
    stop: threading.Event
    owner: str
    spec: LaneSpec
    _guard: threading.Lock = field(default_factory=threading.Lock)
    _threads: int = 0
    _free: int = 0

    def wake(self) -> None:
        """Have a thread, if there is none. Raises Unavailable where the system gives none."""
        with self._guard:
            if not self._threads:
                self._begin()

    @property
    def is_asleep(self) -> bool:
        return not self._threads

    def is_due(self) -> bool:
        """Whether it is asleep while there is a job for it."""
        return self.is_asleep and jobs.is_due(_now(), **self.spec.claims)

    def run(self) -> None:
        """Be one of its threads, until all are to stop."""
        with self._guard:
            self._threads, self._free = self._threads + 1, self._free + 1
        self._work()

    def _begin(self) -> None:
        """One more thread, for whoever holds the guard. Raises Unavailable.

        It is counted once it runs: a lane that counted one that never began would sleep for ever.
        """
        try:
            threading.Thread(target=self._work, name=self.spec.name, daemon=True).start()
        except RuntimeError as exc:
            raise Unavailable(f"no thread for the jobs of {self.spec.name!r}: {exc}") from exc
        self._threads, self._free = self._threads + 1, self._free + 1

    def _work(self) -> None:
        subscription: Subscription | None = None
        idle_since = time.monotonic()
        while not self.stop.is_set():
            try:
                # First: a wake-up for what is not seen below must not be lost.
                subscription = subscription or subscribed(self.ports, self.spec.subject)
                while not self.stop.is_set() and do_one(self.ports, self.owner, taken=self._taken, **self.spec.claims):
                    idle_since = time.monotonic()
                if time.monotonic() - idle_since > IDLE_S and self._is_too_many():
                    break
                if subscription is None:
                    self.stop.wait(1.0)
                else:
                    wait(subscription, self.stop, idle_s([self]), self.concerns)
            except WAITS as exc:
                log.warning("worker.waits", error=str(exc))
                close_old_connections()
                self.stop.wait(1.0)
            except Exception:  # whatever it was, the jobs behind it are to be done
                log.exception("worker.stumbled", lane=self.spec.name)
                self.stop.wait(1.0)
        if subscription is not None:
            subscription.close()
        with contextlib.suppress(*WAITS):
            if not self.stop.is_set() and self.is_due():  # it came between the last look and falling asleep
                self.wake()
        close_old_connections()

    def concerns(self, subject: str) -> bool:
        """Whether a wake-up is for this lane. One that names no kind of job is for all."""
        kind = subject.removeprefix(jobs.subject_of(""))
        if kind == subject:
            return True
        return kind not in self.spec.claims.get("without", ()) and kind in self.spec.claims.get("kind__in", (kind,))

    @contextlib.contextmanager
    def _taken(self) -> Iterator[None]:
        """While one of its threads does a job."""
        with self._guard:
            self._free -= 1
            if not self._free and self._threads < self.spec.most:
                with contextlib.suppress(Unavailable):  # then the others wait for this one
                    self._begin()
        try:
            yield
        finally:
            with self._guard:
                self._free += 1

    def _is_too_many(self) -> bool:
        with self._guard:
            if self._threads <= self.spec.least or (self._free < 2 and self._threads > 1):
                return False
            self._threads, self._free = self._threads - 1, self._free - 1
            return True


def subscribed(ports: Ports, subject: str) -> Subscription | None:
    """None while the bus is away: jobs are looked for all the same."""
    try:
        return ports.bus.subscribe(subject)
    except Unavailable as exc:
        log.warning("worker.deaf", error=str(exc))
        return None


def wait(subscription: Subscription, stop: threading.Event, seconds: float, concerns: Callable[[str], bool]) -> None:
    """Until a wake-up that concerns somebody has come, or so long."""
    ends_at = time.monotonic() + seconds
    while not stop.is_set() and (left_s := ends_at - time.monotonic()) > 0:
        message = subscription.next(timeout_s=left_s)
        if message is None or concerns(message.subject):
            return


def idle_s(lanes: Sequence[Lane]) -> float:
    """How long there will be nothing to do for these lanes, as far as is known now."""
    moments = [due for lane in lanes if (due := jobs.next_due_at(_now(), **lane.spec.claims))]
    return min(IDLE_S, (min(moments) - _now()).total_seconds() if moments else IDLE_S)


def do_due_jobs(ports: Ports) -> int:
    """Do whatever is due, in this process; how many jobs that were."""
    done = 0
    while do_one(ports, owner="", without=ENDLESS):
        done += 1
    return done


def do_one(
    ports: Ports, owner: str, *, taken: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext,
    **claims: Any,
) -> bool:  # fmt: skip
    """Do one job that is due, if there is one."""
    job = jobs.claim(_now(), owner, **claims)
    if job is None:
        return False
    started = time.monotonic()
    with taken():
        try:
            with renewing(lambda: jobs.renew(job, _now())):
                HANDLERS[job.kind](ports, job, now=_now())
        except Exception as exc:  # noqa: BLE001 - a bug must neither stop the worker nor be tried for ever
            _went_wrong(ports, job, exc)
        else:
            log.info("job.done", job=job.pk, kind=job.kind, seconds=round(time.monotonic() - started, 3))
    return True


def _went_wrong(ports: Ports, job: Job, exc: Exception) -> None:
    """Try it again later, or no more. A conflict is no news where another worker holds the job by now."""
    if isinstance(exc, Conflict) and not jobs.renew(job, _now()):
        log.warning("job.lost", job=job.pk, kind=job.kind, error=str(exc))
        return
    if waits := isinstance(exc, WAITS):
        log.warning("job.postponed", job=job.pk, kind=job.kind, error=str(exc), attempts=job.attempts)
    else:
        log.error("job.failed", job=job.pk, kind=job.kind, exc_info=exc)
    patience = PATIENCE.get(job.kind, jobs.PATIENCE) if waits else jobs.MAX_ATTEMPTS
    if job.attempts >= patience:
        _abandon(ports, job, exc)
    else:
        most_s = PAUSES_S.get(job.kind, jobs.MAX_BACKOFF_S) if waits else jobs.MAX_BACKOFF_S
        jobs.postpone(job, str(exc) if waits else repr(exc), _now(), most_s=most_s)


def _abandon(ports: Ports, job: Job, exc: Exception) -> None:
    """Keep a job that cannot be done for people to see, and let those who wait for it know."""
    try:
        with _at_once(job):
            if jobs.give_up(job, repr(exc)) and job.kind in ABANDONED:
                ABANDONED[job.kind](ports, job, now=_now())
    except WAITS as later:  # nobody was told yet: it is tried once more, and then they are
        log.warning("job.postponed", job=job.pk, kind=job.kind, error=str(later), attempts=job.attempts)
        jobs.postpone(job, repr(exc), _now())
    except Exception:
        log.exception("job.not_abandoned", job=job.pk, kind=job.kind)
        jobs.give_up(job, repr(exc))


def _at_once(job: Job) -> contextlib.AbstractContextManager[None]:
    """Given up and told in one transaction: a process that dies in between would leave others waiting for ever.

    Programs and sessions also end outside of the database; who paid for one that nobody ended is refunded in time.
    """
    return contextlib.nullcontext() if job.kind in RUNS | SESSIONS else transaction.atomic()


def _now() -> datetime:
    return datetime.now(UTC)
