"""Server programs as child processes that are ready when they say so, and that die with the test run."""

import contextlib
import shutil
import socket
import subprocess
import threading
from collections import deque
from collections.abc import Sequence
from typing import Any


class ServerDiedError(RuntimeError):
    """A server ended before it was ready; its last words follow."""


class ServerProcess:
    """A running program. ``ready_line`` is the line of its output that says that it serves."""

    def __init__(self, command: Sequence[str], *, ready: str, **options: Any) -> None:
        self._output: deque[str] = deque(maxlen=200)
        # Dies with us even when the test run is killed; the kernel takes care, where setpriv can ask it to.
        guard = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        self._process = subprocess.Popen(
            [*guard, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            **options,
        )
        self.ready_line = ""
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read, args=(ready,), daemon=True)
        self._reader.start()
        if not self._ready.wait(60) or not self.ready_line:
            self.kill()
            raise ServerDiedError("\n".join([" ".join(command), *self._output]))

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()

    def terminate(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()

    def _read(self, ready: str) -> None:
        with contextlib.closing(self._process.stdout) as lines:
            for line in lines:
                self._output.append(line.rstrip())
                if not self.ready_line and ready in line:
                    self.ready_line = line
                    self._ready.set()
        self._ready.set()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
