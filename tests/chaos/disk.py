"""A small disk of its own for a service's blobs, which can be filled and made read-only.

It is mounted in a name space that one process holds; with it the mount goes, however the test run ends.
"""

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

from tests.e2e.service import GUARD, until

SIZE_MB = 64
_HOLD = 'mount -t tmpfs -o size="$1"m tmpfs "$0" && echo held && exec sleep infinity'


class NoDiskError(LookupError):
    """A disk to be filled needs root and the tools unshare and nsenter."""


class Disk:
    """Mounted on ``folder`` for those processes that are started with ``prefix``; all others find it at ``path``."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "nsenter"))):
            raise NoDiskError(NoDiskError.__doc__)
        self._folder = folder
        command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _HOLD, str(folder), str(SIZE_MB)]
        self._holder = subprocess.Popen(
            [*GUARD, *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        if self._holder.stdout.readline().strip() != "held":
            self.close()
            raise NoDiskError(NoDiskError.__doc__)
        self.prefix = ("nsenter", "-t", str(self._holder.pid), "-m", f"--wd={Path.cwd()}", "--")
        self.path = Path(f"/proc/{self._holder.pid}/root{folder}")

    @contextlib.contextmanager
    def full(self):
        """Not a byte is left."""
        filler = self.path / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(1 << 20)) == 1 << 20:
                pass
            while file.write(b"0"):
                pass
        try:
            yield
        finally:
            filler.unlink()

    @contextlib.contextmanager
    def read_only(self):
        until(lambda: self._remount("ro"), what="nobody writes")
        try:
            yield
        finally:
            self._remount("rw")

    def close(self) -> None:
        self._holder.kill()
        self._holder.wait()
        self._holder.stdout.close()

    def _remount(self, how: str) -> bool:
        command = [*self.prefix, "mount", "-o", f"remount,{how}", str(self._folder)]
        return subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode == 0
