"""Processes that a run starts and that never outlive it."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import IO, Self

from foedus.core.errors import Unavailable
from foedus.core.threads import ONE_THREAD

_GRACE_S = 5.0
_TAIL_BYTES = 8192  # of a log, in which its last line is
_SAID_CHARACTERS = 500
_URL = re.compile(r"https?://\S+")


class Processes:
    """Starts processes; leaving the context ends them all.

    Each is in a session of its own, so that Ctrl-C reaches this process alone, which then ends the others in order.
    Each holds the other end of a pipe as its standard input and ends when that is closed: even if this process is
    killed, none is left behind.
    """

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        output: int | None = None,
        secrets: Mapping[str, str] = MappingProxyType({}),
    ) -> subprocess.Popen[bytes]:
        """Run this Python with ``arguments``; what it prints goes to ``<name>.log`` unless ``output`` takes it.

        ``secrets`` go into its environment, where no list of processes shows them.
        """
        with (self._logs / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - this very interpreter, with arguments of our own
                [sys.executable, *arguments],
                stdin=subprocess.PIPE,
                stdout=log if output is None else output,
                stderr=log,
                start_new_session=True,
                env={**os.environ, **ONE_THREAD, **secrets},
            )
        self._running.append((name, process))
        return process

    def check(self) -> None:
        """Raise Unavailable, naming the process and its log, when one ended that should not have."""
        for name, process in self._running:
            status = process.poll()
            if status not in (None, 0):
                raise Unavailable(f"{name} ended with status {status}; {self._last_words(name)}")

    def _last_words(self, name: str) -> str:
        """Where the log of a process is, and its last line."""
        path = (self._logs / f"{name}.log").absolute()
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            lines = log.read().decode(errors="replace").split("\n")
        said = next((line for line in reversed(lines) if line.strip()), "")
        return f"its log is {path}" + (f" and ends with: {said[:_SAID_CHARACTERS]}" if said else " and is empty")

    def ready_url(self, server: subprocess.Popen[bytes], timeout_s: float) -> str:
        """The address in the line that a server prints once it is ready. Raises Unavailable when none comes in time."""
        found: list[str] = []
        assert server.stdout is not None  # noqa: S101 - it was started with a pipe

        def read(lines: IO[bytes]) -> None:
            for line in lines:
                if match := _URL.search(line.decode(errors="replace")):
                    found.append(match.group())
                    return

        reader = threading.Thread(target=read, args=(server.stdout,), daemon=True)
        reader.start()
        reader.join(timeout_s)
        if found:
            return found[0]
        name = next(name for name, process in self._running if process is server)
        how = f"was not ready within {timeout_s:g} s" if reader.is_alive() else "ended before it was ready"
        raise Unavailable(f"the {name} {how}; {self._last_words(name)}")

    def stop(self) -> None:
        """End everything, the latest first: asked at first, killed with all their children after a grace."""
        waiting = self._running[::-1]
        self._running = []
        for _, process in waiting:
            with suppress(ProcessLookupError):
                process.terminate()
        for _, process in waiting:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):
                pipe.close()
