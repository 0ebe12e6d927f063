"""Programs as processes of this machine: ``process:?programs=/opt/tools``."""

import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Self
from urllib.parse import urlsplit
from uuid import uuid4

from foedus.connectors.addresses import BadAddress, split_address
from foedus.connectors.compute.process.guarding import guard_of
from foedus.connectors.compute.process.layout import Layout, write_whole
from foedus.connectors.internet import HostUnknown
from foedus.connectors.run_outputs import open_output, outputs_below
from foedus.core.errors import Invalid
from foedus.ports.compute import (
    MAX_LINE_CHARACTERS,
    ComputeUnavailable,
    InputFile,
    Job,
    Phase,
    Run,
    RunExists,
    RunMissing,
    Session,
    check_run,
)

_BEGIN_S = 30.0
_READ_ONLY = 0o444
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
        told = self._told(job)
        if not layout.root.exists():
            self._check(job.session)
            self._stage(layout, job, told)
        elif json.loads(layout.job.read_bytes()) != told:
            raise RunExists(run=job.id)
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
        return tuple(line[:MAX_LINE_CHARACTERS] for line in text.splitlines()[after : after + limit])

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
        shutil.rmtree(layout.root, ignore_errors=True)

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

    def _check(self, session: Session | None) -> None:
        """Refuse at once what the door would refuse; a name without an address may have one by then."""
        if session is not None:
            url = urlsplit(session.url)
            with suppress(HostUnknown):
                guard_of(self._allow).checked(url.hostname or "", url.port or 443)

    def _told(self, job: Job) -> dict[str, Any]:
        """What the keeper is told, and what makes two jobs the same. Tokens are not part of it."""
        return {
            "id": job.id,
            "script": job.script,
            "image": job.image and [job.image.name, job.image.digest],
            "inputs": [file.name for file in job.inputs],
            "programs": [file.name for file in job.programs],
            "environment": dict(job.environment),
            "limits": {name: getattr(job.limits, name) for name in ("cpus", "memory_bytes", "disk_bytes", "seconds")},
            "session": job.session and job.session.url,
            "shown": list(self._shown),
        }

    def _stage(self, layout: Layout, job: Job, told: dict[str, Any]) -> None:
        """Put the files in their place; until the last rename there is no run."""
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        staged = Layout(self._root / f".{uuid4().hex}.part")
        try:
            for folder in (staged.root, staged.inputs, staged.programs, staged.outputs):
                folder.mkdir(mode=0o755)
            _copy(job.inputs, staged.inputs)
            _copy(job.programs, staged.programs)
            if job.session:
                session = {"url": job.session.url, "token": job.session.token.reveal(), "allow": self._allow}
                write_whole(staged.session, json.dumps(session).encode())
            write_whole(staged.job, json.dumps(told).encode())
            staged.root.rename(layout.root)
        except FileExistsError:  # somebody else was quicker
            if json.loads(layout.job.read_bytes()) != told:
                raise RunExists(run=job.id) from None
        except OSError as exc:
            if layout.job.exists():
                return  # likewise: a folder that is not empty is not renamed over
            raise ComputeUnavailable(f"the files of a run cannot be placed: {exc.strerror}", run=job.id) from exc
        finally:
            shutil.rmtree(staged.root, ignore_errors=True)

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


def _copy(files: Sequence[InputFile], folder: Path) -> None:
    for file in files:
        try:
            shutil.copyfile(file.path, folder / file.name)
        except FileNotFoundError as exc:
            raise Invalid(f"the input {file.name!r} is not there", field="inputs") from exc
        (folder / file.name).chmod(_READ_ONLY)


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
