import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.repo.tree import ROOT

INPUTS = ("pyproject.toml", "requirements.lock", "requirements-dev.lock", "requirements-uv.lock")
COMPILED = ("dev/native.py", "src/foedus/core/compiled/fold.c")
OLD = "#!/bin/sh\nexit 1\n"  # every Python that is asked says: not 3.11 or newer


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A checkout with nothing but what setting up reads, and an environment that fits it."""
    root = tmp_path.resolve() / "check out"  # people have spaces in their paths
    shutil.copytree(ROOT / "dev", root / "dev", ignore=shutil.ignore_patterns("__pycache__"))
    for name in (*INPUTS, COMPILED[1]):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    (root / ".venv" / "bin").mkdir(parents=True)
    script(root / ".venv" / "bin" / "python", "#!/bin/sh\n")
    for kind, locks in (("base", INPUTS[1:2]), ("dev", INPUTS[1:3])):
        parts = [f"{root}\n", *((root / name).read_text("utf-8") for name in (INPUTS[0], *COMPILED, *locks))]
        (root / ".venv" / f"foedus-{kind}.stamp").write_text("".join(parts), "utf-8")
    return root


def script(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")
    path.chmod(0o755)


def setup(checkout: Path, kind: str) -> subprocess.CompletedProcess[str]:
    """Run dev/setup where every Python is too old: it gets along only if it needs none."""
    pythons = checkout / "pythons"
    pythons.mkdir()
    for name in ("python", "python3", "python3.11", "python3.12", "python3.13", "python3.14"):
        script(pythons / name, OLD)
    env = {"PATH": f"{pythons}{os.pathsep}{os.defpath}"}
    command = [str(checkout / "dev" / "setup"), kind]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("kind", ["base", "dev"])
def test_an_environment_that_fits_is_left_alone_without_starting_python(checkout, kind):
    done = setup(checkout, kind)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(("kind", "changed"), [("base", INPUTS[0]), ("base", INPUTS[1]), ("dev", INPUTS[2])])
def test_an_environment_is_made_anew_once_the_project_or_a_lock_has_changed(checkout, kind, changed):
    with (checkout / changed).open("a") as file:
        file.write("# changed\n")

    assert setup(checkout, kind).returncode == 1


def test_an_environment_is_made_anew_once_the_checkout_has_moved(checkout):
    moved = checkout.rename(checkout.with_name("moved"))

    assert setup(moved, "base").returncode == 1


def test_an_environment_is_made_anew_once_its_python_has_gone(checkout):
    (checkout / ".venv" / "bin" / "python").unlink()

    assert setup(checkout, "base").returncode == 1


def test_without_a_new_enough_python_setting_up_says_what_to_do(checkout):
    shutil.rmtree(checkout / ".venv")

    done = setup(checkout, "base")

    assert "needs Python 3.11 or newer" in done.stderr
    assert "make setup PYTHON=" in done.stderr


def test_an_unknown_kind_of_environment_is_refused(checkout):
    assert setup(checkout, "everything").returncode == 2
