"""``serve``, and its parts one by one: ``web``, ``worker``, ``clock``."""

import mmap
import os
import socket
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foedus.cli.plain import import_structlog
from foedus.core.collecting import uncollected
from foedus.options import MAX_WEB_PROCESSES, Settings, settings

if TYPE_CHECKING:  # imported with the rest of the server once it is to run
    from foedus.server.supervisor import Supervisor

_DATA = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Data folder. [default: FOEDUS_DATA, or the platform's]",
)
_HOST = click.option("--host", help="Address to listen on. [default: 127.0.0.1]")
_PORT = click.option("--port", type=click.IntRange(0, 65535), help="Port; 0 takes a free one. [default: 8080]")


def _use(**flags: Any) -> Settings:
    """Let flags win over the environment, for this process and its children."""
    for name, value in flags.items():
        if value is not None:
            os.environ[f"FOEDUS_{name.upper()}"] = str(value)
    import_structlog()
    from foedus.bootstrap import check_shared

    check_shared(settings())
    return settings()


@click.command()
@_HOST
@_PORT
@_DATA
@click.option(
    "--web-processes", type=click.IntRange(1, MAX_WEB_PROCESSES), help="Processes that answer on the port. [default: 1]"
)
@click.option("--until-eof", is_flag=True, help="Stop when standard input ends, for programs that start a server.")
def serve(host: str | None, port: int | None, data: Path | None, web_processes: int | None, *, until_eof: bool) -> None:
    """Run everything: web, worker and clock as one supervised tree of processes."""
    options = _use(host=host, port=port, data=data, web_processes=web_processes)
    sys.exit(_prepared(options, until_eof=until_eof).run())


@uncollected()
def _prepared(options: Settings, *, until_eof: bool) -> "Supervisor":
    """All that can be done before there are children, so that they share it."""
    from foedus import bootstrap
    from foedus.server import processes, start
    from foedus.server.supervisor import Supervisor

    lock = start.hold(options.data)
    port = _free_port(options.host) if options.port == 0 else options.port
    claim = _claimed(options.host, port)
    token_file = start.prepare()
    # Made and imported before forking, so that every child shares it and starts at once, also after it was killed.
    from foedus.server import watches, work  # noqa: F401 - what the worker and its clock run
    from foedus.server.asgi import application

    bootstrap.import_connectors()
    processes.import_web()
    app = application()
    announced = mmap.mmap(-1, 1)  # shared with the children: said once, however often the web process starts

    def announce() -> None:
        if announced[0] == 0:
            announced[0] = 1
            _say_ready(options.host, port, token_file)

    def web(name: str) -> None:
        processes.web(options.host, port, app=app, name=name if options.web_processes > 1 else "", on_ready=announce)

    # Each listens on the port by itself, and the system deals connections out among them.
    webs = ["web", *(f"web-{number}" for number in range(2, options.web_processes + 1))]
    roles: dict[str, Callable[[], None]] = {name: partial(web, name) for name in webs}

    supervisor = os.getpid()

    def worker() -> None:
        if until_eof:
            threading.Thread(target=processes.until_eof, args=(supervisor,), daemon=True).start()
        processes.worker(f"{socket.gethostname()}:{options.data}", ticks=options.clock_seconds > 0)

    roles["worker"] = worker
    # Held by this process alone: should it be killed, whoever starts it again need not wait for its children.
    os.register_at_fork(after_in_child=lock.close)
    os.register_at_fork(after_in_child=claim.close)
    return Supervisor(roles)


@click.command()
@_HOST
@_PORT
@_DATA
@click.option(
    "--plane", type=click.Choice(["both", "control", "data"]), default="both", help="What this process answers."
)
def web(host: str | None, port: int | None, data: Path | None, plane: str) -> None:
    """Answer HTTP. Any number of these may run beside each other."""
    options = _use(host=host, port=port, data=data)
    port = _free_port(options.host) if options.port == 0 else options.port
    from foedus.server import processes, start

    with _claimed(options.host, port):
        token_file = start.prepare()
        processes.web(options.host, port, plane=plane, on_ready=lambda: _say_ready(options.host, port, token_file))


@click.command()
@_DATA
def worker(data: Path | None) -> None:
    """Do jobs, such as combining a round's updates. Any number of these may run beside each other."""
    _use(data=data)
    from foedus.server import processes, start

    start.prepare()
    click.echo("foedus works")
    processes.worker()


@click.command()
@_DATA
def clock(data: Path | None) -> None:
    """Make deadlines and absences take effect. One is enough; a second does no harm."""
    _use(data=data)
    from foedus.server import processes, start

    start.prepare()
    click.echo("foedus ticks")
    processes.clock()


def _say_ready(host: str, port: int, token_file: Path) -> None:
    click.echo(f"foedus serves at {_url(host, port)} (operator token in {token_file})")
    sys.stdout.flush()


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _free_port(host: str) -> int:
    with socket.socket(_family(host)) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def _claimed(host: str, port: int) -> socket.socket:
    """Have the address for this process and its children, or say at once, and clearly, that it cannot be had.

    Web processes share the port, as any two servers of a user could by mistake: each asks for that. So nobody may bind
    it until this has taken it alone; what this gives then shares it, hears nothing, and keeps it until it is closed.
    """
    claim = socket.socket(_family(host))
    try:
        claim.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of before may linger
        claim.bind((host, port))
        claim.listen(0)  # of two that have come so far at the same time, one fails here
        claim.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        claim.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        claim.shutdown(socket.SHUT_RDWR)
    except OSError as exc:
        claim.close()
        raise click.ClickException(f"cannot listen on {host}:{port}: {exc.strerror}; choose another --port") from exc
    return claim
