"""The main job as a stranger runs it."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import psutil
import pytest

from foedus.core.codecs import safetensors

pytestmark = pytest.mark.timeout(180)


def demo(*arguments, cwd, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "foedus", "demo", *arguments],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "HOME": str(cwd), "FOEDUS_DATA": ""},
        **options,
    )


def test_the_demo_trains_a_model_reports_and_stops_everything(tmp_path):
    with demo("--participants", "3", "--rounds", "3", "--json", cwd=tmp_path) as run:
        output, errors = run.communicate()

    assert run.returncode == 0, errors
    *_, outcome = (json.loads(line) for line in output.splitlines())
    assert outcome["federated"] > 0.85
    assert outcome["pooled"] - outcome["federated"] < 0.05
    assert outcome["alone"] < outcome["federated"]
    model = safetensors.decode((tmp_path / outcome["model"]).read_bytes())
    assert all(np.isfinite(array).all() for array in model.values())
    assert "http://" not in (tmp_path / outcome["report"]).read_text().replace("http://www.w3.org", "")
    assert processes_below(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_whatever_ends_the_demo_no_process_is_left(tmp_path, number):
    with demo("--participants", "3", cwd=tmp_path) as run:
        for line in run.stdout:
            if line.startswith("round 1"):
                break

        run.send_signal(number)
        run.communicate()

    assert run.returncode in (130, -signal.SIGKILL)
    assert gone_within(10, tmp_path)


def processes_below(folder):
    """Processes of this test: the demo's children work in its folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(folder) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def gone_within(seconds, folder):
    _, alive = psutil.wait_procs(processes_below(folder), timeout=seconds)
    return not alive and processes_below(folder) == []
