"""Whole rounds of NVFlare in its POC mode, for ``rival_rounds``.

As its documentation starts it: ``nvflare poc prepare`` and ``start``, a server and two clients with mutual TLS, and its
recipe of federated averaging in NumPy, whose model is one array. Moments are those at which one client's script is
given a round's model. Tuned means that what asks now and then asks every 10 ms: the controller for answers and the
client for tasks by their configuration, the executor for what its script has sent by a patch of the script.
"""

import contextlib
import json
import os
import shutil
import subprocess
import time

from benchmarks.rivals import awaited

START_S = 120
OFTEN_S = 0.01

SCRIPT = """
import json, sys, time
import nvflare.client as flare

path, often_s = sys.argv[1], float(sys.argv[2])
flare.init()
if often_s:
    from nvflare.app_common.executors.client_api import in_process_backend
    from nvflare.client.api_spec import CLIENT_API_KEY
    from nvflare.fuel.data_event.data_bus import DataBus
    in_process_backend._RESULT_POLL_INTERVAL = DataBus().get_data(CLIENT_API_KEY).result_check_interval = often_s
moments = []
while flare.is_running():
    model = flare.receive()
    moments.append(time.time())
    if flare.get_site_name() == "site-1":
        with open(path, "w") as file:
            json.dump(moments, file)
    params = {name: array + 1 for name, array in model.params.items()}
    flare.send(flare.FLModel(params=params, meta={"NUM_STEPS_CURRENT_ROUND": 1}))
"""
JOB = """
import sys
import numpy as np
from nvflare.app_common.np.recipes import NumpyFedAvgRecipe

elements, rounds, first, moments, often_s, exported = sys.argv[1:]
np.save(first, np.random.default_rng(0).standard_normal(int(elements), np.float32))
NumpyFedAvgRecipe(
    name="rival", initial_ckpt=first, min_clients=2, num_rounds=int(rounds), train_script="script.py",
    train_args=f"{moments} {often_s}",
).export(exported)
"""


@contextlib.contextmanager
def started(programs, folder):
    """A server and two clients; gives what has them do so many rounds."""
    environment = {
        **os.environ,
        "HOME": str(folder),
        "NVFLARE_POC_WORKSPACE": str(folder / "poc"),
        "PATH": f"{programs}:{os.environ['PATH']}",
    }
    (folder / "script.py").write_text(SCRIPT)

    def run(*words):
        with (folder / "commands.log").open("a") as log:
            subprocess.run(
                [*map(str, words)], env=environment, cwd=folder, check=True, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log,
            )  # fmt: skip

    def moments(size, rounds, *, tuned):
        often_s = OFTEN_S if tuned else 0
        seen, exported = folder / f"moments-{size}-{often_s}", folder / f"job-{size}-{often_s}"
        first = folder / f"first-{size}.npy"
        run(programs / "python", "-c", JOB, size * 250_000, rounds, first, seen, often_s, exported)
        if tuned:
            _tune(exported / "rival" / "app" / "config")
        run("nvflare", "job", "submit", "-j", exported / "rival")
        return awaited(seen, rounds)

    run("nvflare", "poc", "prepare", "-n", 2, "--force")
    try:
        run("nvflare", "poc", "start", "--timeout", START_S)
        yield moments
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):
            run("nvflare", "poc", "stop")
        time.sleep(2)  # its processes write their last words
        if keep := os.environ.get("FOEDUS_BENCH_LOGS"):
            shutil.copytree(folder, keep, dirs_exist_ok=True)


def _tune(folder):
    server, client = folder / "config_fed_server.json", folder / "config_fed_client.json"
    content = json.loads(server.read_text())
    content["workflows"][0]["args"]["task_check_period"] = OFTEN_S
    content["server"] = {"task_request_interval": OFTEN_S}
    server.write_text(json.dumps(content))
    client.write_text(json.dumps({**json.loads(client.read_text()), "default_task_fetch_interval": OFTEN_S}))
