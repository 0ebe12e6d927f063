"""Programs as processes of this machine: ``process:?programs=/opt/tools``."""

import fcntl
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Self

from foedus.connectors.addresses import BadAddress, split_address
from foedus.connectors.run_layout import Layout, lines_of, stage, told_of
from foedus.connectors.run_outputs import open_output, outputs_below, remove_all
from foedus.connectors.run_sessions import check_session, session_file
from foedus.ports.compute import ComputeUnavailable, Job, Phase, Run, RunMissing, check_run

_BEGIN_S = 30.0
_KEEPER = "foedus.connectors.compute.process.keeper"


class ProcessCompute:
    """Runs below ``root``. A job's image is not used: its program finds what is installed on this machine.

    ``shown`` are folders of programs that a run shall see beside the system's and this Python's; ``allow``, networks
    and hosts beside the public ones in which the session of a run may lie.
    """

    def __init__(self, root: Path, shown: Sequence[str] = (), allow: Sequence[str] = ()) -> None:
        self._root = root
        self._shown = tuple(shown)
        self._allow = tuple(allow)

    @classmethod
    def from_url(cls, url: str, *, data: Path, allow: Sequence[str] = ()) -> Self:
        parts, options = split_address(url, {"programs"})
        if parts.netloc or parts.path:
            raise BadAddress("Processes run on this machine: write process: and nothing more.", scheme=parts.scheme)
        shown = [path for path in options.get("programs", "").split(",") if path]
        for path in shown:
            if not Path(path).is_dir() or not Path(path).is_absolute():
                raise BadAddress("programs are folders of this machine, by their whole paths.", path=path)
        return cls(data / "runs", shown, allow)

    def start(self, job: Job) -> Run:
        layout = self._layout(job.id)
        if not layout.root.exists():
            check_session(job.session, self._allow)
        stage(layout, job, {**told_of(job), "shown": list(self._shown)}, session_file(job.session, self._allow))
        if layout.read() is None:
            self._begin(layout)
        if layout.read() is None:
            return Run(id=job.id, phase=Phase.ERROR, started_at=_now(), reason="its keeper ended before it had begun")
        return self.find(job.id)

    def find(self, run: str) -> Run:
        return self._state(self._existing(run))[0]

    def wait(self, run: str, timeout_s: float) -> Run:
        layout = self._existing(run)
        until = time.monotonic() + timeout_s
        found, keeper = self._state(layout)
        while not found.is_over and (left := until - time.monotonic()) > 0:
            _await_end(keeper, left)
            found, keeper = self._state(layout)
        return found

    def log(self, run: str, *, after: int = 0, limit: int = 1_000) -> Sequence[str]:
        try:
            text = self._existing(run).log.read_text(errors="replace")
        except FileNotFoundError:
            return ()
        return lines_of(text, after, limit)

    def stop(self, run: str) -> Run:
        found, keeper = self._state(self._existing(run))
        if not found.is_over:
            _signal(keeper, signal.SIGTERM)
            found = self.wait(run, _BEGIN_S)
        return found

    def outputs(self, run: str) -> Iterator[Any]:
        return outputs_below(self._existing(run).outputs)

    def open(self, run: str, name: str) -> AbstractContextManager[BinaryIO]:
        return open_output(self._existing(run).outputs, name)

    def remove(self, run: str) -> None:
        layout = self._layout(run)
        if layout.read() is not None:
            self.stop(run)
        remove_all(layout.root)

    def close(self) -> None:
        """Runs go on; the next server finds them."""

    def _layout(self, run: str) -> Layout:
        check_run(run)
        return Layout(self._root / run)

    def _existing(self, run: str) -> Layout:
        layout = self._layout(run)
        if not layout.job.exists():
            raise RunMissing(run=run)
        return layout

    def _begin(self, layout: Layout) -> None:
        command = [sys.executable, "-m", _KEEPER, str(layout.root)]
        try:
            subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=_BEGIN_S)
        except (OSError, subprocess.SubprocessError) as exc:
            raise ComputeUnavailable("a process to keep a run could not be started", run=layout.root.name) from exc

    def _state(self, layout: Layout) -> tuple[Run, int]:
        """How the run stands; one whose keeper is gone is written down as lost."""
        found = layout.read()
        if found is None:  # whoever placed its files died then: started again, it begins
            raise RunMissing(run=layout.root.name)
        run, keeper = found
        if run.is_over:
            return found
        with layout.lock.open("ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return found
            found = layout.read() or found  # it may have ended just before
            if found[0].is_over:
                return found
            lost = replace(run, phase=Phase.ERROR, finished_at=_now(), reason="its process was killed, or the machine")
            layout.session.unlink(missing_ok=True)
            layout.write(lost, keeper)
            return lost, keeper


def _await_end(process: int, timeout_s: float) -> None:
    """Return when the process has ended, or after the timeout."""
    try:
        watched = os.pidfd_open(process)
    except ProcessLookupError:
        return
    try:
        select.select([watched], [], [], timeout_s)
    finally:
        os.close(watched)


def _signal(process: int, number: int) -> None:
    try:
        os.kill(process, number)
    except ProcessLookupError:
        return


def _now() -> datetime:
    return datetime.now(UTC)
