"""``foedus simulate APP`` as somebody calls it, in processes and on a Dask cluster."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

FOEDUS = Path(sys.executable).with_name("foedus")
APP = Path(__file__).parents[2] / "examples" / "simulation" / "app.py"


def simulate(*words, status=0, cwd=None):
    """What the command prints to standard output, and to standard error."""
    command = [FOEDUS, "simulate", *map(str, words)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=cwd, timeout=110)
    assert done.returncode == status, done.stderr
    return done.stdout, done.stderr


@pytest.mark.slow
def test_processes_and_dask_train_the_same_model(tmp_path):
    app = tmp_path / "app.py"
    app.write_text(APP.read_text() + "\nprint('what an app prints is nothing for who reads the report')\n")
    words = (app, "--participants", 6, "--rounds", 2, "--workers", 2)

    simulate(*words, "--json", tmp_path / "report.json")
    printed, _ = simulate(*words, "--engine", "dask", "--json", "-")

    here, there = json.loads((tmp_path / "report.json").read_text()), json.loads(printed)
    assert here["digest"] == there["digest"]
    assert here["updates"] == there["updates"] == 12
    errors = [scores["error"] for _, scores in sorted(there["scores"].items())]
    assert errors[2] < errors[1] < errors[0]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["terminated", "interrupted"])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_who_is_told_to_stop_does_not_wait_for_what_its_workers_do(tmp_path, number, workers):
    (tmp_path / "mine.py").write_text(
        "import time\nimport numpy as np\n"
        "def initial_model(): return {'w': np.zeros(1)}\n"
        "def train(model, settings): time.sleep(600)\n"
    )
    words = [FOEDUS, "simulate", "mine.py", "--participants", "4", "--workers", workers]
    with started(words, tmp_path) as running:
        assert "round 1" in running.stdout.readline()
        os.killpg(running.pid, number) if number == signal.SIGINT else running.terminate()  # as a terminal does, or not

        assert running.wait(60) == 130
        assert running.stderr.read() == "stopped; nothing is left running\n"


@pytest.mark.slow
def test_who_is_interrupted_while_its_workers_start_says_no_more_than_that(tmp_path):
    (tmp_path / "mine.py").write_text("import time\nprint('loaded', flush=True)\ntime.sleep(600)\n")
    with started([FOEDUS, "simulate", "mine.py", "--workers", "2"], tmp_path) as running:
        assert running.stdout.readline() == "loaded\n"
        os.killpg(running.pid, signal.SIGINT)

        assert running.wait(60) == 130
        assert running.stderr.read() == "stopped; nothing is left running\n"


def started(words, folder):
    return subprocess.Popen(
        words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def test_what_is_wrong_with_an_app_is_told_in_its_own_words_and_nothing_is_left_behind(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import math\ndef train(model, settings):\n    math.sqrt(-1)\ninitial_model = dict\n"
    )

    _, told = simulate("mine:train", "--workers", 1, status=1, cwd=tmp_path)

    assert "no tensors" in told
    assert "Traceback" not in told


def test_the_command_for_flaas_is_still_there():
    printed, _ = simulate("flaas", "--help")

    assert "FLaaS project" in printed
