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


def demo(*arguments, cwd, option="HOME", value="", **options):
    return subprocess.Popen(
        [sys.executable, "-m", "foedus", "demo", *arguments],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, option: value, "HOME": str(cwd), "FOEDUS_DATA": ""},
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


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_whatever_ends_the_demo_no_process_is_left(tmp_path, number):
    with demo("--participants", "2", cwd=tmp_path) as run:
        for line in run.stdout:
            if line.startswith("round 1"):
                break

        run.send_signal(number)
        run.communicate()

    assert run.returncode in (130, -signal.SIGKILL)
    assert gone_within(10, tmp_path)


@pytest.mark.slow
def test_a_pipe_gets_few_lines_a_round_and_the_first_at_once(tmp_path):
    with demo("--participants", "4", "--rounds", "2", cwd=tmp_path) as run:
        output, errors = run.communicate()

    lines = output.splitlines()
    assert run.returncode == 0, errors
    assert lines[1] == "starting the server ..."
    assert all(sum(line.startswith(f"round {number}:") for line in lines) <= 4 for number in (1, 2))


def test_a_demo_whose_server_does_not_start_shows_the_log_s_path_and_last_line(tmp_path):
    with demo(cwd=tmp_path, option="FOEDUS_THREADS", value="0") as run:
        _, errors = run.communicate()

    assert run.returncode == 1
    assert errors == (
        f"Error: the server ended before it was ready; its log is {tmp_path / 'foedus-demo' / 'server.log'} "
        "and ends with: Error: FOEDUS_THREADS must be 1 or more, not 0\n"
    )


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
