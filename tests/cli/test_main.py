import json
import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from foedus.cli.main import main
from foedus.core.compiled import library

ASK = """
import json
import os

from foedus.cli.main import main

command = main.get_command(None, {command!r})
import numpy as np

np.ones((300, 300)) @ np.ones((300, 300))  # OpenBLAS starts its threads, if it has any
print(json.dumps([os.environ.get("OPENBLAS_NUM_THREADS"), len(os.listdir("/proc/self/task"))]))
"""


def asked(command, **variables):
    environment = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")} | variables
    done = subprocess.run(
        [sys.executable, "-c", ASK.format(command=command)], env=environment, capture_output=True, check=True, text=True
    )
    return json.loads(done.stdout)


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted as Linux shows them")
def test_linear_algebra_of_a_server_has_one_thread():
    assert asked("worker") == ["1", 1]


def test_who_says_how_many_threads_is_heeded():
    assert asked("worker", OPENBLAS_NUM_THREADS="3")[0] == "3"


def test_other_commands_leave_it_alone():
    assert asked("learn")[0] is None


def test_help_shows_what_the_commands_say_of_themselves():
    with click.Context(main, terminal_width=2_000, max_content_width=2_000) as context:
        lines = main.get_help(context).partition("Commands:\n")[2].splitlines()
        said = {name: main.get_command(context, name).get_short_help_str(1_000) for name in main.list_commands(context)}

    assert dict(re.split(r"  +", line.strip()) for line in lines) == said


@pytest.mark.parametrize(
    ("loop", "said"),
    [("avx2", "the compiled loop (avx2)"), (None, "NumPy alone: there is no compiled loop for this installation")],
)
def test_the_version_says_by_what_means_are_folded(monkeypatch, loop, said):
    monkeypatch.setattr(library, "vectors", lambda: loop)

    done = CliRunner().invoke(main, ["--version"])

    assert done.exit_code == 0
    assert done.output.startswith(f"foedus, version {version('foedus')}\nPython 3.")
    assert f"means of float32 by {said}" in done.output


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("FOEDUS_DATABASE_URL", "postgresql://a:secret-1@127.0.0.1:1/b", "the database cannot be used"),
        ("FOEDUS_BUS_URL", "nat://127.0.0.1", "Error: FOEDUS_BUS_URL must begin with one of local:, memory:, nats:, "),
    ],
)
def test_a_server_that_cannot_start_says_why_in_a_sentence(tmp_path, variable, value, said):
    command = [sys.executable, "-m", "foedus", "web", "--port", "0"]
    environment = os.environ | {"FOEDUS_DATA": str(tmp_path), "FOEDUS_BSU_URL": "x", variable: value}

    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 1
    assert said in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert "secret-1" not in done.stderr
    assert '"perhaps": "FOEDUS_BUS_URL"' in done.stderr
