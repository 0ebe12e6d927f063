"""Where the files of a run are, and how its state is written down: whole or not at all."""

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from foedus.ports.compute import Phase, Run


class Layout:
    """The folder of one run. ``session`` holds a token; ``lock`` is held by the keeper as long as it lives."""

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

    def write(self, run: Run, keeper: int) -> None:
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
