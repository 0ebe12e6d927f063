"""Runs in containers, whatever starts those: files in a folder that the containers see, states written down there.

A run's container bears the run's name and the mark of its job. So a node that died between starting one and writing
that down finds it again, and starts no second one.
"""

import fcntl
import hashlib
import json
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from foedus.connectors.addresses import BadAddress
from foedus.connectors.run_layout import NOBODY, VOLUME, Layout, lines_of, places_in, stage, told_of, write_whole
from foedus.connectors.run_outputs import filling, more_than, open_output, outputs_below, remove_all
from foedus.connectors.run_sessions import check_session, session_file
from foedus.core.errors import Invalid
from foedus.ports.compute import MAX_LOG_BYTES, SESSION_VARIABLES, Image, Job, Phase, Run, RunMissing, check_run

RUN_LABEL, MARK_LABEL = "foedus.run", "foedus.mark"
DOOR_PORT = 8750
_BY_DIGEST = re.compile(r"[^@\s]+@sha256:[0-9a-f]{64}")
_REFERENCE = re.compile(r"[a-z0-9]+(?:[._:/-]+[A-Za-z0-9]+)*")
_TAG = re.compile(r":[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$")
_MAX_REFERENCE_CHARACTERS = 255
_LOOK_EVERY_S = 0.25  # where a place gives up waiting at once
_MEASURE_EVERY_S = 5.0  # what a program has written


@dataclass(frozen=True, slots=True)
class Sight:
    """A container as its place sees it. ``reason`` says why it ended, or what it waits for.

    ``is_ours``: the end is no fault of the program's. ``has_begun``: the program is, or was, there.
    """

    is_over: bool
    exit_code: int | None = None
    reason: str = ""
    is_ours: bool = False
    has_begun: bool = True


class Place(Protocol):
    """What starts containers. Every verb may be repeated, by many processes; any may raise ComputeUnavailable."""

    def open_to(self, job: Job) -> tuple[str, ...]:
        """What the program can reach beyond what the port promises, in words."""
        ...

    def begin(self, job: Job, layout: Layout, mark: str) -> None:
        """Start the containers of a run, once. Raises RunExists where some of another mark are there, Invalid."""
        ...

    def look(self, run: str) -> Sight | None:
        """None where there is no such container."""
        ...

    def await_change(self, run: str, timeout_s: float) -> None:
        """Return once the run may have ended, or after the timeout."""
        ...

    def log(self, run: str) -> Iterator[bytes]:
        """What the program wrote so far."""
        ...

    def end(self, run: str) -> None:
        """Kill and remove whatever there is of a run."""
        ...

    def close(self) -> None: ...


class ContainedRuns:
    """The port ``compute`` over a place that starts containers. ``root`` is a folder that these see as well."""

    def __init__(self, root: Path, place: Place, allow: Sequence[str] = ()) -> None:
        self._root = root
        self._place = place
        self._allow = tuple(allow)

    def start(self, job: Job) -> Run:
        layout = self._layout(job.id)
        reference_of(job.image)
        if not layout.root.exists():
            check_session(job.session, self._allow)
        told = told_of(job)
        stage(layout, job, told, session_file(job.session, self._allow))
        with _alone(layout):
            if layout.read() is None:
                self._place.begin(job, layout, _mark_of(told))
                open_to = self._place.open_to(job)
                layout.write(Run(id=job.id, phase=Phase.RUNNING, started_at=_now(), open_to=open_to))
        return self.find(job.id)

    def find(self, run: str) -> Run:
        layout = self._existing(run)
        with _alone(layout):
            return self._standing(layout)

    def wait(self, run: str, timeout_s: float) -> Run:
        until = time.monotonic() + timeout_s
        found = self.find(run)
        while not found.is_over and (left := until - time.monotonic()) > 0:
            began = time.monotonic()
            overdue_s = self._limits_of(run)["seconds"] - (_now() - found.started_at).total_seconds()
            self._place.await_change(run, max(_LOOK_EVERY_S, min(left, overdue_s, _MEASURE_EVERY_S)))
            found = self.find(run)
            if not found.is_over and time.monotonic() - began < _LOOK_EVERY_S:
                time.sleep(min(left, _LOOK_EVERY_S))
        return found

    def log(self, run: str, *, after: int = 0, limit: int = 1_000) -> Sequence[str]:
        layout = self._existing(run)
        kept = layout.log.read_bytes() if layout.log.exists() else _first(self._place.log(run))
        return lines_of(kept.decode(errors="replace"), after, limit)

    def stop(self, run: str) -> Run:
        layout = self._existing(run)
        with _alone(layout):
            found = self._standing(layout)
            if found.is_over:
                return found
            return self._ended(layout, found, Sight(is_over=True, reason="it was stopped"))

    def outputs(self, run: str) -> Iterator[Any]:
        return outputs_below(self._existing(run).outputs)

    def open(self, run: str, name: str) -> AbstractContextManager[BinaryIO]:
        return open_output(self._existing(run).outputs, name)

    def remove(self, run: str) -> None:
        layout = self._layout(run)
        self._place.end(run)
        remove_all(layout.root)

    def close(self) -> None:
        """Runs go on; the next server finds them."""
        self._place.close()

    def _layout(self, run: str) -> Layout:
        check_run(run)
        if run.endswith("-"):
            raise Invalid("a run in a container is named by letters and digits, with - between them", field="id")
        return Layout(self._root / run)

    def _existing(self, run: str) -> Layout:
        layout = self._layout(run)
        if layout.read() is None:  # whoever placed its files died then: started again, it begins
            raise RunMissing(run=run)
        return layout

    def _limits_of(self, run: str) -> Mapping[str, int]:
        limits: Mapping[str, int] = json.loads(self._layout(run).job.read_bytes())["limits"]
        return limits

    def _standing(self, layout: Layout) -> Run:
        """How the run stands; its end is written down by whoever sees it first."""
        found = layout.read()
        if found is None:
            raise RunMissing(run=layout.root.name)
        run = found[0]
        if run.is_over:
            return run
        sight = self._place.look(run.id)
        if sight is None:
            return self._ended(layout, run, Sight(is_over=True, reason="its container was removed", is_ours=True))
        if sight.is_over:
            return self._ended(layout, run, sight)
        seconds = self._limits_of(run.id)["seconds"]
        if (_now() - run.started_at).total_seconds() >= seconds:
            late = f"it took longer than the {seconds} s that were bought"
            if not sight.has_begun:
                late = f"it did not begin within {seconds} s: {sight.reason}"
            return self._ended(layout, run, Sight(is_over=True, reason=late, is_ours=not sight.has_begun))
        if too_much := filling(layout.outputs, self._limits_of(run.id)["disk_bytes"]):
            return self._ended(layout, run, Sight(is_over=True, reason=too_much))
        return replace(run, reason=sight.reason)

    def _ended(self, layout: Layout, run: Run, sight: Sight) -> Run:
        """Keep the log, end what goes on, and write the end down, in this order: any step may be the last that is done.

        A container that ended by itself goes after its end was written down, which nobody would know otherwise.
        """
        log = _first(self._place.log(run.id))
        if log or not layout.log.exists():  # whoever died after the second step has kept it, and nothing is left of it
            write_whole(layout.log, log)
        went_on = sight.exit_code is None
        if went_on:
            self._place.end(run.id)
        phase, reason = _judged(layout, sight)
        over = replace(run, phase=phase, finished_at=_now(), exit_code=sight.exit_code, reason=reason)
        layout.session.unlink(missing_ok=True)
        layout.write(over)
        if not went_on:
            self._place.end(run.id)
        return over


def reference_of(image: Image | None) -> str:
    """``name@digest``, without a tag, which says nothing beside a digest. Raises Invalid where there is none."""
    if image is None:
        raise Invalid("programs run in containers here: the offer has to list the image by its digest", field="image")
    name = _TAG.sub("", image.name)
    if len(name) > _MAX_REFERENCE_CHARACTERS or not _REFERENCE.fullmatch(name):
        raise Invalid(f"{image.name[:80]!r} cannot be the name of an image", field="image")
    return f"{name}@{image.digest}"


def door_in(options: Mapping[str, str], scheme: str) -> str:
    """The image of the door to sessions that an address names; empty where it names none. Raises BadAddress."""
    door = options.get("door", "")
    if "door" in options and not _BY_DIGEST.fullmatch(door):
        raise BadAddress("door= is an image by its digest, NAME@sha256:...", scheme=scheme)
    return door


def hand_over(layout: Layout) -> int:
    """The user that a program shall be: this process's own, never root; what it has to write or read is that user's."""
    if user := os.geteuid():
        return user
    for path in (layout.outputs, layout.session):
        if path.exists():
            os.chown(path, NOBODY, NOBODY)
    return NOBODY


def shell(job: Job, url: str) -> list[str]:
    """The command of a container: the job's text for a shell, with one log, and with no file larger than was bought.

    ``url`` is where the program finds its session.
    """
    script = job.script.replace("{coordinator_url}", url)
    blocks = max(1, job.limits.disk_bytes // 512)
    return ["/bin/sh", "-c", f'exec 2>&1; ulimit -c 0; ulimit -f {blocks}; exec /bin/sh -c "$0"', script]


def variables_of(job: Job, url: str) -> dict[str, str]:
    """What a program finds in its environment."""
    session = dict.fromkeys(SESSION_VARIABLES, url) if job.session else {}
    return {**places_in(VOLUME), **session, **job.environment}


def _judged(layout: Layout, sight: Sight) -> tuple[Phase, str]:
    if sight.is_ours:
        return Phase.ERROR, sight.reason
    if sight.reason:
        return Phase.FAILED, sight.reason
    if too_much := more_than(json.loads(layout.job.read_bytes())["limits"]["disk_bytes"], layout.outputs):
        return Phase.FAILED, too_much
    if sight.exit_code:
        return Phase.FAILED, f"the program ended with status {sight.exit_code}"
    return Phase.SUCCEEDED, ""


def _mark_of(told: dict[str, Any]) -> str:
    """Of at most 63 characters, which is what labels may have."""
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:40]


def _first(parts: Iterator[bytes]) -> bytes:
    kept = bytearray()
    for part in parts:
        kept += part
        if len(kept) > MAX_LOG_BYTES:
            return bytes(kept[:MAX_LOG_BYTES]) + b"\n(the rest of the log was left out)\n"
    return bytes(kept)


@contextmanager
def _alone(layout: Layout) -> Iterator[None]:
    """One thread of one process at a time begins, judges or ends a run."""
    try:
        lock = layout.lock.open("ab")
    except FileNotFoundError:
        raise RunMissing(run=layout.root.name) from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _now() -> datetime:
    return datetime.now(UTC)
