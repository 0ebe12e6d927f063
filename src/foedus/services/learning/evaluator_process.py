"""Running an evaluator in a process of its own, for so long and no longer."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO
from uuid import uuid4

from foedus.core.course import Evaluation
from foedus.core.errors import Invalid
from foedus.services.learning.metrics import check_metrics

CHILD = "foedus.services.learning.evaluator_child"
MAX_ANSWER_BYTES = 64 << 10
_KEPT_BYTES = 2000


class EvaluatorFailed(Invalid):
    """The evaluator did not come to an end that can be used."""


def run_evaluator(rule: Evaluation, model: Path, scratch: Path) -> dict[str, float]:
    """The evaluator's numbers for the model in that file. Raises EvaluatorFailed, saying why."""
    answer = scratch / f"{uuid4().hex}.answer"
    order = {
        "name": rule.name, "options": dict(rule.options), "model": str(model), "answer": str(answer),
        "timeout_s": rule.timeout_s,
    }  # fmt: skip
    try:
        _run(order, rule.timeout_s)
        return _read(answer)
    finally:
        answer.unlink(missing_ok=True)
        Path(f"{answer}.part").unlink(missing_ok=True)


def _run(order: Mapping[str, object], timeout_s: float) -> None:
    process = subprocess.Popen(  # noqa: S603 - our own module; what to do comes in on standard input
        [sys.executable, "-m", CHILD],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - they are pipes
    said = _Tail(process.stdout)
    try:
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps(order).encode() + b"\n")
            process.stdin.flush()
        status = process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        raise EvaluatorFailed(f"the evaluator did not end within {timeout_s:g} seconds") from None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        with suppress(BrokenPipeError):
            process.stdin.close()
        said.close()
    if status:
        how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
        raise EvaluatorFailed(f"the evaluator {how}; at the end it said: {said.text or 'nothing'}")


def _read(answer: Path) -> dict[str, float]:
    if not answer.exists():
        raise EvaluatorFailed("the evaluator ended its process before it gave an answer")
    if answer.stat().st_size > MAX_ANSWER_BYTES:
        raise EvaluatorFailed(f"the evaluator's answer is larger than {MAX_ANSWER_BYTES} bytes")
    found = json.loads(answer.read_text())
    if "problem" in found:
        raise EvaluatorFailed(f"the evaluator failed: {found['problem']}")
    metrics: dict[str, float] = found["metrics"]
    if not metrics:
        raise EvaluatorFailed("the evaluator gave no number")
    check_metrics(metrics)
    return metrics


class _Tail:
    """The end of what a process says; the rest is read and forgotten."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._kept: deque[int] = deque(maxlen=_KEPT_BYTES)
        self._stream = stream
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def text(self) -> str:
        return bytes(self._kept).decode(errors="replace").strip()

    def close(self) -> None:
        self._thread.join(5.0)
        if not self._thread.is_alive():  # else somebody who left the process's group still holds the other end
            self._stream.close()

    def _read(self) -> None:
        while piece := os.read(self._stream.fileno(), 4096):
            self._kept.extend(piece)
