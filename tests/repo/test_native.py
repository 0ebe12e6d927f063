import ctypes
import os
import subprocess
import sys
import zipfile

import pytest
from tests.repo.tree import ROOT

sys.path.insert(0, str(ROOT / "dev"))
import native

SOURCE = ROOT / "src" / native.PLACE / "fold.c"


def test_without_a_compiler_nothing_is_made_and_an_older_library_goes(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CC", str(tmp_path / "no-compiler"))
    library = tmp_path / "fold.so"
    library.write_text("of an older source")

    assert not native.built(SOURCE, library)

    assert list(tmp_path.iterdir()) == []
    assert "NumPy alone" in capsys.readouterr().err


def test_a_compiler_that_fails_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("CC", "false")

    assert not native.built(SOURCE, tmp_path / "fold.so")

    assert list(tmp_path.iterdir()) == []


def test_what_is_compiled_can_be_loaded_and_compiles_without_a_warning(tmp_path, monkeypatch):
    compiler = native.compiler()[0]
    if not native.shutil.which(compiler):
        pytest.skip("there is no C compiler here")
    monkeypatch.setenv("CC", f"{compiler} -Wall -Wextra -Werror")

    assert native.built(SOURCE, tmp_path / "fold.so")

    assert ctypes.CDLL(str(tmp_path / "fold.so")).foedus_fold_version() == 1


def test_a_wheel_that_is_to_fit_every_machine_has_no_library(tmp_path):
    env = os.environ | {"HATCH_BUILD_NO_HOOKS": "true"}
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True)

    (wheel,) = tmp_path.glob("*-py3-none-any.whl")

    assert not [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".so")]
