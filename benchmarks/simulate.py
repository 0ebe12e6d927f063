"""``foedus simulate``: a thousand participants with small updates; updates a second, and when the first round is over.

Flower's own simulation engine is not measured here: it needs Ray.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.machine import described

PARTICIPANTS, ROUNDS, RUNS = 1000, 4, 5
APP = f"""
import numpy as np
from foedus.sdk import Update

def initial_model():
    return {{"w": np.zeros({10_000 // 4}, np.float32)}}

def train(model, settings):
    return Update({{"w": model["w"] + 1}}, 1)
"""


def main():
    print(described())
    reports = [measured() for _ in range(RUNS)]
    rate, first, seen = (
        median(report[name] for report in reports) for name in ("updates_per_second", "first_round_s", "seen_s")
    )
    print(
        f"foedus: {PARTICIPANTS} participants x 10 KB, {ROUNDS} rounds: {rate:.0f} updates a second, "
        f"the first round takes {first:.2f} s, and is over {seen:.2f} s after the command was given (medians of {RUNS})"
    )


def measured():
    with tempfile.TemporaryDirectory() as folder:
        app = Path(folder) / "app.py"
        app.write_text(APP)
        foedus = Path(sys.executable).with_name("foedus")
        words = [app, "--participants", PARTICIPANTS, "--rounds", ROUNDS, "--json", "-"]
        began, seen_s = time.perf_counter(), 0.0
        with subprocess.Popen(
            [foedus, "simulate", *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as running:
            for line in running.stderr:
                if line.startswith(f"round 1: {PARTICIPANTS}/"):
                    seen_s = time.perf_counter() - began
            return {**json.loads(running.stdout.read()), "seen_s": seen_s}


if __name__ == "__main__":
    main()
