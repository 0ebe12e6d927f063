"""The examples with Flower and NVFlare themselves, each installed into an environment of its own that is kept."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from foedus.sdk import Operator

ROOT = Path(__file__).resolve().parents[2]
SITES = 2


def python_with(name, requirement):
    """A Python that has the other system and what ``foedus.sdk`` needs. Skips where that cannot be had."""
    folder = ROOT / ".bench" / f"{name}-bridge"
    python, done = folder / "bin" / "python", folder / requirement.replace("*", "x")
    if not done.exists():
        uv = Path(sys.executable).with_name("uv")
        try:
            subprocess.run([uv, "venv", "-q", "--clear", "--python", sys.executable, folder], check=True)
            install = [uv, "pip", "install", "-q", "--python", python, requirement, "httpx", "numpy"]
            subprocess.run(install, check=True, timeout=600)
        except (OSError, subprocess.SubprocessError) as exc:
            pytest.skip(f"{requirement} cannot be installed here, so its bridge is NOT TESTED: {exc}")
        done.touch()
    return python


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("name", "requirement"), [("flower", "flwr==1.41.0"), ("nvflare", "nvflare==2.9.*")], ids=["flower", "nvflare"]
)
def test_clients_of_another_system_learn_together(server, tmp_path, name, requirement):
    python = python_with(name, requirement)
    np = pytest.importorskip("numpy")
    with Operator(server.url, server.operator_token) as operator:
        policy = {"name": "quorum", "options": {"minimum": SITES, "rounds": 5}}
        evaluate_every = 1 if name == "flower" else 0
        operator.create_project(name, policy=policy, evaluate_every=evaluate_every)
        operator.put_model(name, {"w": np.zeros(3, np.float32)})
        keys = operator.enrolment_keys(name, SITES, name="site")

        runs = [started(python, name, server.url, key.key, site, tmp_path) for site, key in enumerate(keys)]
        told = [run.communicate(timeout=300)[0] for run in runs]

        assert [run.returncode for run in runs] == [0, 0], told
        assert all("finished=True, updates=5" in text for text in told), told
        np.testing.assert_allclose(operator.download(name)["w"], [1, 2, 3], atol=0.05)
        if name == "flower":
            assert max(score.metrics["error"] for score in operator.scores(name, checkpoint=4)) < 0.1


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_flower_clients_of_every_shape_train(tmp_path):
    python = python_with("flower", "flwr==1.41.0")

    done = subprocess.run(
        [python, Path(__file__).with_name("flower_clients.py")],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT / "src")}, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr


def started(python, name, url, key, site, folder):
    script = ROOT / "examples" / f"{name}_bridge" / "run.py"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "FOEDUS_URL": url, "FOEDUS_KEY": key}
    return subprocess.Popen(
        [python, script, str(site)],
        cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
