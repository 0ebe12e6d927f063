import ctypes
import os
import platform
import shutil
import subprocess
import sys
import zipfile

import pytest
from tests.repo.tree import ROOT

sys.path.insert(0, str(ROOT / "dev"))
import native

SOURCE = ROOT / "src" / native.PLACE / "fold.c"
WITH_COMPILER = pytest.mark.skipif(not shutil.which(native.compiler()[0]), reason="there is no C compiler here")


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


@WITH_COMPILER
def test_what_is_compiled_can_be_loaded_and_compiles_without_a_warning(tmp_path, monkeypatch):
    monkeypatch.setenv("CC", f"{native.compiler()[0]} -Wall -Wextra -Werror")

    assert native.built(SOURCE, tmp_path / "fold.so")

    assert ctypes.CDLL(str(tmp_path / "fold.so")).foedus_fold_version() == 1


def test_where_nothing_can_be_removed_an_installation_goes_on_and_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CC", "false")
    library = tmp_path / "fold.so"
    library.mkdir()  # no administrator may unlink a folder either
    library.with_name("fold.so.part").mkdir()

    assert not native.built(SOURCE, library)

    assert f"{library} may be of an older source and cannot be removed" in capsys.readouterr().err


@pytest.fixture
def checkout(tmp_path):
    """Without what tells a builder which files are ignored, and with a library of this machine."""
    copy = tmp_path / "checkout"
    shutil.copytree(ROOT / "src", copy / "src", ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "dev/native.py"):
        (copy / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, copy / name)
    (copy / "src" / native.PLACE / "fold.so").write_text("of this machine")
    return copy


def wheel(checkout, folder, **env):
    """Its name and its libraries."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=checkout, env=os.environ | env, check=True, capture_output=True)
    (made,) = folder.glob("*.whl")
    with zipfile.ZipFile(made) as archive:
        return made.name, {name: archive.read(name) for name in archive.namelist() if name.endswith(".so")}


@pytest.mark.parametrize("env", [{"HATCH_BUILD_NO_HOOKS": "true"}, {"CC": "false"}])
def test_a_wheel_that_is_to_fit_every_machine_has_no_library(checkout, tmp_path, env):
    name, libraries = wheel(checkout, tmp_path, **env)

    assert name.endswith("-py3-none-any.whl")
    assert libraries == {}


@WITH_COMPILER
def test_a_wheel_with_the_library_just_made_says_for_which_machine_it_is(checkout, tmp_path):
    name, libraries = wheel(checkout, tmp_path)

    assert name.endswith(f"-py3-none-{native.platform()}.whl")
    assert list(libraries) == [str(native.PLACE / "fold.so")]
    assert b"foedus_fold" in libraries[str(native.PLACE / "fold.so")]


def test_a_wheel_is_for_one_machine_where_python_is_for_two(monkeypatch):
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(platform, "mac_ver", lambda: ("14.0", ("", "", ""), "arm64"))

    assert native.platform() == "macosx_14_0_arm64"


def test_on_linux_a_wheel_promises_no_libc(monkeypatch):
    monkeypatch.setattr(native, "platform_tags", lambda: iter(["manylinux_2_36_x86_64", "linux_x86_64"]))

    assert native.platform() == "linux_x86_64"
