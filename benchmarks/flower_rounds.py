"""Whole rounds of Flower's deployment engine, for ``rival_rounds``.

It runs as its documentation starts it, here and without TLS: a SuperLink, two SuperNodes that hand back updates of the
size of the model at once, and federated averaging. Moments are those at which a round is over, as its ServerApp sees.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

from benchmarks.rivals import awaited

PARTICIPANTS = 2
PORT = 19090  # and those after it

PROJECT = """
[project]
name = "rival"
version = "1.0.0"
[tool.flwr.app]
publisher = "nobody"
[tool.flwr.app.components]
serverapp = "rival.server:app"
clientapp = "rival.client:app"
[tool.flwr.app.config]
elements = 1
rounds = 1
moments = ""
"""
SERVER = """
import json, time
import numpy as np
from flwr.app import ArrayRecord
from flwr.serverapp import ServerApp
from flwr.serverapp.strategy import FedAvg

app = ServerApp()

@app.main()
def main(grid, context):
    config, moments = context.run_config, []

    def seen(number, arrays):
        moments.append(time.time())

    size = int(config["elements"]) // 10
    first = ArrayRecord([np.random.default_rng(i).standard_normal(size, np.float32) for i in range(10)])
    strategy = FedAvg(fraction_evaluate=0.0, min_train_nodes=2, min_available_nodes=2)
    strategy.start(grid, first, num_rounds=int(config["rounds"]), evaluate_fn=seen)
    with open(config["moments"], "w") as file:
        json.dump(moments, file)
"""
CLIENT = """
from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()

@app.train()
def train(message, context):
    arrays = [array + 1 for array in message.content["arrays"].to_numpy_ndarrays()]
    content = RecordDict({"arrays": ArrayRecord(arrays), "metrics": MetricRecord({"num-examples": 1})})
    return Message(content=content, reply_to=message)
"""


def moments(programs, folder, size, rounds):
    """When each round was over, by the clock of Flower's server."""
    app, home, seen = folder / "app", folder / "home", folder / "moments"
    (app / "rival").mkdir(parents=True)
    home.mkdir()
    (app / "pyproject.toml").write_text(PROJECT)
    for name, text in (("__init__", ""), ("server", SERVER), ("client", CLIENT)):
        (app / "rival" / f"{name}.py").write_text(text)
    address = f"127.0.0.1:{PORT}"
    (home / "config.toml").write_text(
        f'[superlink]\ndefault = "here"\n[superlink.here]\naddress = "{address}"\ninsecure = true\n'
    )
    with started(
        folder, FLWR_HOME=str(home), PATH=f"{programs}:{os.environ['PATH']}", FLWR_TELEMETRY_ENABLED="0"
    ) as start:
        start(programs / "flower-superlink", "--insecure", "--disable-runtime-dependency-installation", "--port", PORT)
        listening(PORT)
        for number in range(PARTICIPANTS):
            start(programs / "flower-supernode", "--insecure", "--superlink", address, "--port", PORT + 1 + number)
        config = f"elements={size * 250_000} rounds={rounds} moments='{seen}'"
        start(programs / "flwr", "run", app, "here", "--run-config", config, "--stream")
        return awaited(seen, rounds)


def listening(port):
    """Wait until somebody answers there."""
    ends_at = time.monotonic() + 60
    while time.monotonic() < ends_at:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.2)


@contextlib.contextmanager
def started(folder, **variables):
    """Starts programs, whose words go to files in ``folder``, and ends them."""
    running = []

    def start(program, *words):
        log = (folder / f"{len(running)}-{Path(program).name}.log").open("wb")
        running.append(
            subprocess.Popen(
                [program, *map(str, words)], env={**os.environ, **variables}, stdout=log, stderr=log,
                stdin=subprocess.DEVNULL, start_new_session=True,
            )
        )  # fmt: skip

    try:
        yield start
    finally:
        for process in reversed(running):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 15)
        for process in reversed(running):
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
        if keep := os.environ.get("FOEDUS_BENCH_LOGS"):
            shutil.copytree(folder, keep, dirs_exist_ok=True)
