"""Containers without a runtime: bubblewrap puts a command into a world that has what a container would have of it.

What servers of the tests that stand for a runtime start, so that what they are asked for is seen to work: mounts,
users, folders and variables are those of the request, and nothing else of this machine's files can be written.
"""

import fcntl
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from foedus.connectors.compute.process.sandbox import bubblewrap

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc/alternatives", "/etc/ld.so.cache")


@dataclass(frozen=True)
class Mount:
    source: str
    target: str
    read_only: bool


@dataclass(frozen=True)
class Contained:
    process: subprocess.Popen
    log: Path

    @classmethod
    def begun(cls, command, env, cwd, mounts, log, *, user, network=False):
        words = [bubblewrap(), "--unshare-pid", "--unshare-ipc", "--unshare-net", "--die-with-parent", "--clearenv"]
        words += [
            "--proc",
            "/proc",
            "--dev",
            "/dev",
            "--tmpfs",
            "/tmp",
            "--perms",
            "0755",
            "--dir",
            "/data",
            "--perms",
            "0755",
            "--dir",
            "/run",
        ]
        words += ["--share-net"] if network else []
        become = []
        if os.geteuid() == 0:  # as a runtime does it: another user of this machine, not root by another name
            words += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
            become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
        code = [str(Path(__file__).parents[2] / "src")] if network else []  # a door holds this very code
        for path in map(Path, (*_SYSTEM, sys.prefix, sys.base_prefix, *code)):
            if path.is_symlink():
                words += ["--symlink", str(path.readlink()), str(path)]
            elif path.exists() and not str(path).startswith("/usr/"):
                for parent in reversed(path.parents[:-1]):
                    words += ["--perms", "0755", "--dir", str(parent)]
                words += ["--ro-bind", str(path), str(path)]
        for mount in mounts:
            words += ["--ro-bind" if mount.read_only else "--bind", mount.source, mount.target]
        for name, value in {"PATH": f"{sys.prefix}/bin:/usr/bin:/bin", **env}.items():
            words += ["--setenv", name, value]
        words += ["--chdir", cwd] if cwd else []
        with log.open("wb") as file:
            process = subprocess.Popen(
                [*words, *become, *command], stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT
            )
        return cls(process, log)

    def kill(self):
        with suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()

    @property
    def code(self):
        """As a runtime says it; None while it runs."""
        code = self.process.poll()
        return code if code is None or code >= 0 else 128 - code


@contextmanager
def door_port():
    """Doors here have no network of their own: one at a time, whoever else runs tests on this machine."""
    with Path(tempfile.gettempdir(), "foedus-tests-door").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
