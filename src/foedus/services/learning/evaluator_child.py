"""A process of its own for an evaluator, so that neither a crash nor a hang in it reaches the worker.

It reads what to do as one line of JSON, writes what came of it as JSON to a file, and ends at once when its standard
input does: whoever wanted to know is gone then.
"""

import json
import os
import signal
import sys
import threading
from collections.abc import Mapping
from math import ceil
from pathlib import Path
from typing import Any

from foedus.core.codecs import safetensors
from foedus.core.errors import PlatformError
from foedus.core.registry import build, load

GROUP = "foedus.evaluators"


def main() -> None:
    order = json.loads(sys.stdin.buffer.readline())
    signal.alarm(ceil(order["timeout_s"]) + 5)  # should nobody be there to end it
    threading.Thread(target=_end_with_input, daemon=True).start()
    answer: dict[str, Any]
    try:
        answer = {"metrics": _numbers(_evaluated(order))}
    except PlatformError as exc:
        answer = {"problem": exc.message}
    except Exception as exc:  # noqa: BLE001 - a stranger's code: whatever it raises is the answer
        answer = {"problem": f"{type(exc).__name__}: {exc}"[:1000]}
    part = Path(order["answer"] + ".part")
    part.write_text(json.dumps(answer))
    part.replace(order["answer"])
    sys.stdout.flush()
    os._exit(0)  # threads that an evaluator left behind are nobody's business any more


def _evaluated(order: Mapping[str, Any]) -> Any:
    evaluator = load(GROUP, order["name"])
    with safetensors.open_source(Path(order["model"])) as source:
        arrays = source.arrays()
        if isinstance(evaluator, type):
            return build(GROUP, order["name"], order["options"])(arrays)
        return evaluator(arrays, **order["options"])


def _numbers(metrics: Any) -> dict[str, float]:
    if not isinstance(metrics, Mapping):
        raise TypeError(f"an evaluator gives numbers by name, not {type(metrics).__name__}")
    return {str(name): float(value) for name, value in metrics.items()}


def _end_with_input() -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
