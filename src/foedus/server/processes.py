"""What each process of the service does once it runs: web, worker, clock."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING

import django
import structlog
from django.db import InterfaceError, OperationalError, close_old_connections

from foedus import bootstrap
from foedus.core.errors import PlatformError, Unavailable
from foedus.ports import Ports

if TYPE_CHECKING:  # Django's models can be imported only once it is set up
    from starlette.applications import Starlette

log = structlog.get_logger()

_BACKLOG = 2048
_READ_AHEAD_BYTES = 1 << 18  # of each body: held some three times over on its way to us


def web(
    host: str, port: int, *, plane: str = "both", app: "Starlette | None" = None, name: str = "",
    on_ready: Callable[[], None],
) -> None:  # fmt: skip
    """Serve HTTP until told to stop; ``on_ready`` is called once requests are answered.

    ``app`` is what ``asgi.application`` gave, where that was made before this process; ``name`` is the process's, where
    several share the port.
    """
    from granian.constants import Interfaces
    from granian.http import HTTP1Settings
    from granian.server.embed import Server

    from foedus.server.asgi import application
    from foedus.server.metrics import durations

    if plane == "control":
        _control_plane(host, port, on_ready)
        return

    app = app or application(plane)
    durations.process = name

    async def run() -> None:
        server = Server(
            app,
            host,
            port,
            interface=Interfaces.ASGI,
            http1_settings=HTTP1Settings(max_buffer_size=_READ_AHEAD_BYTES),
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


def import_web() -> None:
    """Import what ``web`` runs and start nothing: processes that are forked afterwards share it."""
    for name in ("anyio._backends._asyncio", "granian.server.embed"):  # the former AnyIO imports by its name, too
        import_module(name)


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


def worker(name: str = "", *, ticks: bool = False) -> None:
    """Do jobs, the moment they are there, and be the clock where it ``ticks``.

    A ``name`` says: I am the only worker called so, go on with my jobs.
    """
    django.setup()
    from foedus.server.lanes import Lane, lanes_of
    from foedus.server.watches import Watch
    from foedus.services.shell import jobs

    ports = bootstrap.ports()
    stop = _stop_event(ports)
    owner = jobs.owner_of(name)
    if ticks:
        threading.Thread(target=_tick, args=(ports, stop), name="clock", daemon=True).start()
    _sweep(ports)
    _patiently(stop, lambda: jobs.release(owner, _now()))
    quick, *others = (Lane(ports, stop, owner, spec) for spec in lanes_of(ports))
    for watch in Watch.over(others):
        watch.start()
    quick.run()


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


def clock() -> None:
    """Tick, so that deadlines and absences take effect."""
    django.setup()
    ports = bootstrap.ports()
    _tick(ports, _stop_event(ports))


def _tick(ports: Ports, stop: threading.Event) -> None:
    from foedus.server.work import Clockwork

    seconds = bootstrap.settings().clock_seconds
    if not seconds:
        stop.wait()
    clockwork = Clockwork()
    while not stop.is_set():  # at once: a worker may be one that a job kills again and again, within a second
        try:
            clockwork.tick(ports, now=_now())
        except (PlatformError, OperationalError, InterfaceError) as exc:
            log.warning("clock.waits", error=str(exc))
            close_old_connections()
        except Exception:  # whatever it was, other deadlines are to take effect
            log.exception("clock.stumbled")
            close_old_connections()
        stop.wait(seconds)


def until_eof(supervisor: int) -> None:
    """Ask the process of this id to stop once standard input has ended, or is none."""
    with contextlib.suppress(OSError):  # such as of a terminal that is gone
        # Not by its buffer, whose lock a thread must not hold at the end.
        while sys.stdin is not None and os.read(sys.stdin.fileno(), 4096):
            pass
    if os.getppid() == supervisor:  # or it is gone, and who took its place is nobody's to stop
        os.kill(supervisor, signal.SIGTERM)


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
