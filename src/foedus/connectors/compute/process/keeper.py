"""``python -m foedus.connectors.compute.process.keeper FOLDER``: the process that keeps one run.

It leaves the server's tree, so that a run goes on when the server stops, and answers to nobody but SIGTERM (stop). It
holds the run's lock as long as it lives: a run that says it goes on, while the lock is free, was lost.
"""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from foedus.connectors.compute.process import family, sandbox
from foedus.connectors.run_layout import NOBODY, VOLUME, Layout, places_in
from foedus.connectors.run_outputs import filling, more_than, open_output, outputs_below
from foedus.connectors.run_sessions import session_in
from foedus.core.errors import Invalid
from foedus.ports.compute import MAX_LOG_BYTES, SESSION_VARIABLES, Phase, Run

_SCRATCH_BYTES = 1 << 30
_LAST_WORDS_S = 5.0  # for the end of the log, once the program has ended


def main(folder: Path) -> None:
    """Begin a run; returns in the caller's process once the state says that it goes on."""
    reading, writing = os.pipe()
    if os.fork():
        os.close(writing)
        os.read(reading, 1)  # the run is written down, or its keeper is gone
        return
    os.close(reading)
    os.setsid()
    family.adopt()
    with ExitStack() as stack:
        layout = Layout(folder)
        lock = stack.enter_context(layout.lock.open("wb"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # somebody else keeps it
            os._exit(0)
        if layout.read() is None:
            _Keeping(layout, json.loads(layout.job.read_bytes()), stack).run(writing)
    os._exit(0)


class _Keeping:
    def __init__(self, layout: Layout, job: dict[str, Any], stack: ExitStack) -> None:
        self._layout = layout
        self._job = job
        self._stack = stack
        self._why = ""  # it was ended, where it was
        self._stopped = threading.Event()

    def run(self, told: int) -> None:
        place = self._place()
        run = Run(id=self._job["id"], phase=Phase.RUNNING, started_at=_now(), open_to=place.open_to)
        signal.signal(signal.SIGTERM, lambda *_: self._stop())
        self._layout.write(run, os.getpid())
        os.write(told, b"1")
        os.close(told)
        try:
            phase, code, reason = self._outcome(place)
        except (OSError, Invalid) as exc:
            phase, code, reason = Phase.ERROR, None, f"it could not be run: {exc}"
        over = Run(
            id=run.id,
            phase=phase,
            started_at=run.started_at,
            finished_at=_now(),
            exit_code=code,
            reason=reason,
            open_to=run.open_to,
        )
        self._layout.session.unlink(missing_ok=True)
        self._layout.write(over, os.getpid())

    def _stop(self) -> None:
        self._why = self._why or "it was stopped"
        self._stopped.set()

    def _place(self) -> sandbox.Place:
        door = self._door()
        if program := sandbox.bubblewrap():
            scratch = min(self._job["limits"]["memory_bytes"], _SCRATCH_BYTES)
            shown = sandbox.Shown(self._job["shown"], self._environment(VOLUME), scratch)
            return sandbox.shut_in(program, self._layout, door, shown)
        return sandbox.left_open(self._layout, self._folder(), door)

    def _door(self) -> Path | None:
        if not self._layout.session.exists():
            return None
        from foedus.connectors.session_door import open_door  # costs as much time as all the rest

        session, guard = session_in(json.loads(self._layout.session.read_bytes()))
        folder = self._folder()
        door = folder / "door"
        self._stack.enter_context(open_door(session, door, guard))
        if os.geteuid() == 0 and not sandbox.bubblewrap():
            for path in (door, folder):  # for the program's user alone: whoever gets in takes part as this run
                os.chown(path, NOBODY, NOBODY)
        return door

    def _folder(self) -> Path:
        """A new one that goes with this process; its path is short, as those of sockets have to be."""
        folder = Path(tempfile.mkdtemp(prefix="foedus-run-"))
        self._stack.callback(shutil.rmtree, folder, ignore_errors=True)
        return folder

    def _environment(self, volume: str) -> dict[str, str]:
        return {
            "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
            **places_in(volume),
            **self._job["environment"],
        }

    def _outcome(self, place: sandbox.Place) -> tuple[Phase, int | None, str]:
        limits = self._job["limits"]
        inside = {
            **{name: limits[name] for name in ("memory_bytes", "disk_bytes", "cpus")},
            "script": self._job["script"],
            "door": place.door,
            "variables": SESSION_VARIABLES,
            "user": place.user,
        }
        program = subprocess.Popen(
            [*place.command, sys.executable, "-I", place.inside, json.dumps(inside)],
            cwd=place.cwd,
            env=self._environment(place.volume),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        writing = threading.Thread(target=_copy_log, args=(program, self._layout.log), daemon=True)
        writing.start()
        threading.Thread(target=self._end_when_told, args=(program, limits["seconds"]), daemon=True).start()
        outputs = self._layout.outputs if place.volume == VOLUME else Path(place.volume, "outputs")
        threading.Thread(target=self._watch, args=(program, outputs), daemon=True).start()
        code = program.wait()
        family.end()  # whoever is left, wherever it went
        writing.join(_LAST_WORDS_S)
        if place.volume != VOLUME:
            try:
                _bring(outputs, self._layout.outputs)
            except Invalid as exc:  # what cannot be kept is no fault of ours
                self._why = self._why or exc.message
        return self._judged(code, limits["disk_bytes"])

    def _end_when_told(self, program: "subprocess.Popen[bytes]", seconds: float) -> None:
        if not self._stopped.wait(seconds):
            self._why = self._why or f"it took longer than the {seconds} s that were bought"
        _kill(program)

    def _watch(self, program: "subprocess.Popen[bytes]", outputs: Path) -> None:
        """End what uses more than was bought: each process and file has its limit, and this is all of them together."""
        while program.returncode is None and not self._stopped.wait(family.LOOK_EVERY_S):
            try:
                too_much = self._measured(outputs)
            except Exception as exc:  # noqa: BLE001 - whatever it was, nobody runs unmeasured
                too_much = f"what it used could not be measured: {exc!r}"
            if too_much:
                self._why = self._why or too_much
                _kill(program)
                return

    def _measured(self, outputs: Path) -> str:
        memory, disk = self._job["limits"]["memory_bytes"], self._job["limits"]["disk_bytes"]
        return family.more_than(memory) or filling(outputs, disk) or family.hiding(outputs, disk)

    def _judged(self, code: int, disk_bytes: int) -> tuple[Phase, int | None, str]:
        code = code if code >= 0 else 128 - code
        if self._why:
            return Phase.FAILED, code, self._why
        if too_much := more_than(disk_bytes, self._layout.outputs):
            return Phase.FAILED, code, too_much
        if code:
            return Phase.FAILED, code, f"the program ended with status {code}"
        return Phase.SUCCEEDED, 0, ""


def _copy_log(program: "subprocess.Popen[bytes]", path: Path) -> None:
    """Keep the first megabytes; the program is read to its end all the same, so that it never waits for us."""
    left = MAX_LOG_BYTES
    with path.open("wb", buffering=0) as log:
        while program.stdout and (part := os.read(program.stdout.fileno(), 1 << 16)):
            log.write(part[:left])
            if left < len(part) and left:
                log.write(b"\n(the rest of the log was left out)\n")
            left = max(0, left - len(part))


def _bring(left: Path, outputs: Path) -> None:
    for output in outputs_below(left):
        kept = outputs / output.name
        kept.parent.mkdir(parents=True, exist_ok=True)
        with open_output(left, output.name) as source, kept.open("xb") as file:
            shutil.copyfileobj(source, file)


def _kill(program: "subprocess.Popen[bytes]") -> None:
    try:
        os.killpg(program.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _now() -> datetime:
    return datetime.now(UTC)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
