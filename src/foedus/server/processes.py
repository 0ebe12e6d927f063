"""What each process of the service does once it runs: web, worker, clock."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import django
import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, close_old_connections

from foedus import bootstrap
from foedus.core.errors import Conflict, PlatformError, Unavailable
from foedus.ports import Ports
from foedus.ports.compute import NoCompute
from foedus.ports.ledger import NoLedger

if TYPE_CHECKING:  # Django's models can be imported only once it is set up
    from starlette.applications import Starlette

    from foedus.records.shell.models import Job

log = structlog.get_logger()

RENEW_EVERY_S = 2.0  # a third of a lease
IDLE_S = 5.0  # a worker looks by itself this often, should a wake-up have been lost
QUICK_LANE, SLOW_LANE, LONG_LANE, ENDLESS_LANE = "quick", "slow", "long", "endless"
RUN_LANE, SESSION_LANE = "runs", "sessions"
LONG_THREADS = 2
RUN_THREADS = 4
SESSION_THREADS = 8
ENDLESS_THREADS = 4
_BACKLOG = 2048


def web(
    host: str, port: int, *, plane: str = "both", app: "Starlette | None" = None, on_ready: Callable[[], None]
) -> None:
    """Serve HTTP until told to stop; ``on_ready`` is called once requests are answered.

    ``app`` is what ``asgi.application`` gave, where that was made before this process.
    """
    from granian.constants import Interfaces
    from granian.server.embed import Server

    from foedus.server.asgi import application

    if plane == "control":
        _control_plane(host, port, on_ready)
        return

    app = app or application(plane)

    async def run() -> None:
        server = Server(
            app,
            host,
            port,
            interface=Interfaces.ASGI,
            backlog=_BACKLOG,
            backpressure=_BACKLOG * 4,
            log_enabled=False,
        )
        threading.Thread(target=_once_listening, args=(host, port, on_ready), daemon=True).start()

        def stop() -> None:
            app.state.let_go()  # or the server would wait for those who wait for something to happen
            server.stop()  # type: ignore[no-untyped-call]  # granian is not typed here

        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop)
        await server.serve()

    asyncio.run(run())


def _control_plane(host: str, port: int, on_ready: Callable[[], None]) -> None:
    """Django alone, under WSGI in threads: what neither waits nor streams, at less cost."""
    from granian.constants import Interfaces
    from granian.server import Server

    server = Server(
        "foedus.server.wsgi:application", host, port, interface=Interfaces.WSGI, backlog=_BACKLOG,
        blocking_threads=bootstrap.settings().threads, log_enabled=False,
    )  # fmt: skip
    threading.Thread(target=_once_listening, args=(host, port, on_ready), daemon=True).start()
    server.serve()


def _once_listening(host: str, port: int, then: Callable[[], None]) -> None:
    """Call ``then`` as soon as the address takes connections: the server tells nobody, so it is tried."""
    anywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where to try, not where to listen
    while True:
        try:
            socket.create_connection((anywhere.get(host, host), port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            then()
            return


def worker(name: str = "") -> None:
    """Do jobs, the moment they are there. A ``name`` says: I am the only worker called so, go on with my jobs."""
    django.setup()
    from foedus.services.shell import jobs

    ports = bootstrap.ports()
    stop = _stop_event(ports)
    owner = jobs.owner_of(name)
    _sweep(ports)
    _patiently(stop, lambda: jobs.release(owner, _now()))
    lanes = {SLOW_LANE: 1, LONG_LANE: LONG_THREADS, RUN_LANE: RUN_THREADS, ENDLESS_LANE: ENDLESS_THREADS}
    if isinstance(ports.compute, NoCompute):
        del lanes[RUN_LANE]
    if not isinstance(ports.ledger, NoLedger):
        lanes[SESSION_LANE] = SESSION_THREADS
    for lane in (name for name, threads in lanes.items() for _ in range(threads)):
        threading.Thread(target=_lane, args=(ports, stop, owner, lane), name=lane, daemon=True).start()
    _lane(ports, stop, owner, QUICK_LANE)


def _patiently(stop: threading.Event, do: Callable[[], object]) -> None:
    """Do something once what it depends on answers."""
    while not stop.is_set():
        try:
            do()
        except (Unavailable, OperationalError, InterfaceError) as exc:
            log.warning("worker.waits", error=str(exc))
            close_old_connections()
            stop.wait(1.0)
        else:
            return


def _lane(ports: Ports, stop: threading.Event, owner: str, name: str) -> None:
    """Do one job after the other: those that rounds wait for, those that may take their time, or what never ends."""
    from foedus.server.work import ENDLESS, LONG, RUNS, SESSIONS, SLOW
    from foedus.services.shell import jobs
    from foedus.services.statistics.jobs import LONG_SUBJECT

    kinds: dict[str, dict[str, Any]] = {
        QUICK_LANE: {"without": SLOW | LONG | RUNS | SESSIONS | ENDLESS}, SLOW_LANE: {"kind__in": SLOW},
        LONG_LANE: {"kind__in": LONG}, RUN_LANE: {"kind__in": RUNS}, ENDLESS_LANE: {"kind__in": ENDLESS},
        SESSION_LANE: {"kind__in": SESSIONS},
    }  # fmt: skip
    lane = kinds[name]
    # These have a subject of their own: their threads need not look at every job that others are woken for.
    subscription = ports.bus.subscribe(LONG_SUBJECT if name in (LONG_LANE, ENDLESS_LANE) else jobs.SUBJECT)
    while not stop.is_set():
        try:
            while not stop.is_set() and _do_one(ports, owner, **lane):
                pass
            due = jobs.next_due_at(_now(), **lane)
            subscription.next(timeout_s=min(IDLE_S, (due - _now()).total_seconds() if due else IDLE_S))
        except (Unavailable, OperationalError, InterfaceError) as exc:
            log.warning("worker.waits", error=str(exc))
            close_old_connections()
            stop.wait(1.0)


def clock() -> None:
    """Tick, so that deadlines and absences take effect."""
    django.setup()
    from foedus.server.work import Clockwork

    ports = bootstrap.ports()
    stop = _stop_event(ports)
    seconds = bootstrap.settings().clock_seconds
    clockwork = Clockwork()
    while not stop.wait(seconds or None):
        try:
            clockwork.tick(ports, now=_now())
        except (PlatformError, OperationalError, InterfaceError) as exc:
            log.warning("clock.waits", error=str(exc))
            close_old_connections()


def until_eof() -> None:
    """Ask the parent to stop once standard input has ended; then wait for that to happen."""
    while sys.stdin.buffer.read(4096):
        pass
    os.kill(os.getppid(), signal.SIGTERM)
    signal.sigwait({signal.SIGTERM})


def do_due_jobs(ports: Ports) -> int:
    """Do whatever is due, in this process; how many jobs that were."""
    from foedus.server.work import ENDLESS

    done = 0
    while _do_one(ports, owner="", without=ENDLESS):
        done += 1
    return done


def _abandon(ports: Ports, job: "Job", exc: Exception) -> None:
    """Keep a job that cannot be done for people to see, and let those who wait for it know."""
    from foedus.server.work import ABANDONED
    from foedus.services.shell import jobs

    jobs.give_up(job, repr(exc))
    if job.kind in ABANDONED:
        ABANDONED[job.kind](ports, job, now=_now())


def _do_one(ports: Ports, owner: str, **lane: Any) -> bool:
    """Do one job that is due, if there is one."""
    from foedus.server.work import HANDLERS, PATIENCE
    from foedus.services.shell import jobs

    job = jobs.claim(_now(), owner, **lane)
    if job is None:
        return False
    started = time.monotonic()
    try:
        with renewing(lambda: jobs.renew(job, _now())):
            HANDLERS[job.kind](ports, job, now=_now())
    except (Unavailable, OperationalError, InterfaceError) as exc:
        log.warning("job.postponed", job=job.pk, kind=job.kind, error=str(exc), attempts=job.attempts)
        if job.attempts >= PATIENCE.get(job.kind, jobs.PATIENCE):
            _abandon(ports, job, exc)
        else:
            jobs.postpone(job, str(exc), _now())
    except Conflict as exc:
        log.warning("job.lost", job=job.pk, kind=job.kind, error=str(exc))
    except Exception as exc:  # a bug must neither stop the worker nor be tried for ever
        log.exception("job.failed", job=job.pk, kind=job.kind)
        if job.attempts >= jobs.MAX_ATTEMPTS:
            _abandon(ports, job, exc)
        else:
            jobs.postpone(job, repr(exc), _now())
    else:
        log.info("job.done", job=job.pk, kind=job.kind, seconds=round(time.monotonic() - started, 3))
    return True


@contextlib.contextmanager
def renewing(renew: Callable[[], bool]) -> Iterator[None]:
    """Keep a lease while the block runs, from a thread of its own."""
    done = threading.Event()

    def keep() -> None:
        while not done.wait(RENEW_EVERY_S):
            try:
                renew()
            except OperationalError as exc:
                log.warning("lease.not_renewed", error=str(exc))
        if settings.configured:  # whoever keeps leases elsewhere may have no database at all
            close_old_connections()

    thread = threading.Thread(target=keep, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _stop_event(ports: Ports) -> threading.Event:
    """Set by SIGTERM and SIGINT; closing the bus wakes whoever waits on it."""
    stop = threading.Event()

    def on_signal(number: int, frame: object) -> None:  # noqa: ARG001
        stop.set()
        threading.Thread(target=ports.bus.close, daemon=True).start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    return stop


def _sweep(ports: Ports) -> None:
    """Remove the scratch files that killed processes left; an hour is longer than any body takes."""
    from foedus.services.shell.staging import sweep

    sweep(ports.scratch, time.time() - 3600)


def _now() -> datetime:
    return datetime.now(UTC)
