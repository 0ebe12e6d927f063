"""Where the files of a run are, how they get there, and how its state is written down: whole or not at all."""

import json
import os
import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from foedus.core.errors import Invalid
from foedus.ports.compute import (
    MAX_LINE_CHARACTERS,
    ComputeUnavailable,
    InputFile,
    Job,
    Phase,
    Run,
    RunExists,
)

VOLUME = "/data"  # where a program finds its files, unless it is told elsewhere
NOBODY = 65534
_READ_ONLY = 0o444


class Layout:
    """The folder of one run. ``session`` holds a token; ``lock`` is held by who keeps the run, as long as it lives."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.job = root / "job.json"
        self.state = root / "run.json"
        self.session = root / "session.json"
        self.lock = root / "lock"
        self.log = root / "log"
        self.inputs = root / "inputs"
        self.programs = root / "transformations"
        self.outputs = root / "outputs"

    def read(self) -> tuple[Run, int] | None:
        """The state and the keeper's process; None before there is one."""
        try:
            fields = json.loads(self.state.read_text())
        except FileNotFoundError:
            return None
        return _run(fields), fields["keeper"]

    def write(self, run: Run, keeper: int = 0) -> None:
        fields = {
            "id": run.id,
            "phase": run.phase.value,
            "started_at": run.started_at.isoformat(),
            "finished_at": run.finished_at and run.finished_at.isoformat(),
            "exit_code": run.exit_code,
            "reason": run.reason,
            "open_to": list(run.open_to),
            "keeper": keeper,
        }
        write_whole(self.state, json.dumps(fields).encode())


def places_in(volume: str) -> dict[str, str]:
    """What a program finds of these folders in its environment, wherever it runs."""
    return {
        "HOME": f"{volume}/outputs",
        "LANG": "C.UTF-8",
        "VOLUME": volume,
        "NEVERMINED_INPUTS_PATH": f"{volume}/inputs",
        "NEVERMINED_OUTPUTS_PATH": f"{volume}/outputs",
        "NEVERMINED_TRANSFORMATIONS_PATH": f"{volume}/transformations",
    }


def told_of(job: Job) -> dict[str, Any]:
    """What makes two jobs the same, as it is written down. Tokens are not part of it."""
    return {
        "id": job.id,
        "script": job.script,
        "image": job.image and [job.image.name, job.image.digest],
        "inputs": [file.name for file in job.inputs],
        "programs": [file.name for file in job.programs],
        "environment": dict(job.environment),
        "limits": {name: getattr(job.limits, name) for name in ("cpus", "memory_bytes", "disk_bytes", "seconds")},
        "session": job.session and job.session.url,
    }


def stage(layout: Layout, job: Job, told: dict[str, Any], session: dict[str, Any]) -> None:
    """Put the files of a run in their place; until the last rename there is no run. ``session`` may be empty.

    Raises RunExists where another run of this name was quicker, Invalid for an input that is not there.
    """
    if layout.root.exists():
        if json.loads(layout.job.read_bytes()) != told:
            raise RunExists(run=job.id)
        return
    layout.root.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    staged = Layout(layout.root.parent / f".{uuid4().hex}.part")
    try:
        for folder in (staged.root, staged.inputs, staged.programs, staged.outputs):
            folder.mkdir(mode=0o755)
        _copy(job.inputs, staged.inputs)
        _copy(job.programs, staged.programs)
        if session:
            write_whole(staged.session, json.dumps(session).encode())
        write_whole(staged.job, json.dumps(told).encode())
        staged.root.rename(layout.root)
    except OSError as exc:
        if not layout.job.exists():
            raise ComputeUnavailable(f"the files of a run cannot be placed: {exc.strerror}", run=job.id) from exc
        # Somebody else was quicker: a folder that is not empty is not renamed over.
        if json.loads(layout.job.read_bytes()) != told:
            raise RunExists(run=job.id) from None
    finally:
        shutil.rmtree(staged.root, ignore_errors=True)


def lines_of(text: str, after: int, limit: int) -> tuple[str, ...]:
    """Some lines of a log, each cut where it is longer than anybody wants to read."""
    return tuple(line[:MAX_LINE_CHARACTERS] for line in text.splitlines()[after : after + limit])


def write_whole(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace a file so that readers, and whoever looks after a crash, see the old content or the new."""
    part = path.with_name(f".{uuid4().hex}.part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _run(fields: dict[str, Any]) -> Run:
    ended = fields["finished_at"]
    return Run(
        id=fields["id"],
        phase=Phase(fields["phase"]),
        started_at=datetime.fromisoformat(fields["started_at"]),
        finished_at=datetime.fromisoformat(ended) if ended else None,
        exit_code=fields["exit_code"],
        reason=fields["reason"],
        open_to=tuple(fields["open_to"]),
    )


def _copy(files: Sequence[InputFile], folder: Path) -> None:
    for file in files:
        try:
            shutil.copyfile(file.path, folder / file.name)
        except FileNotFoundError as exc:
            raise Invalid(f"the input {file.name!r} is not there", field="inputs") from exc
        (folder / file.name).chmod(_READ_ONLY)
