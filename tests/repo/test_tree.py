import re
import tomllib
from pathlib import Path

import pytest
from tests.repo.tree import ROOT, files

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))

# Folders of whoever wrote a line: they mean nothing to the reader. "/artwork/" and "deploy/root/" are none.
MACHINE = re.compile(r"(?<![\w.~-])/(?:work|root|home/\w+|Users/\w+)/[\w.]")
# Where packages come from is the reader's choice, never ours.
REGISTRY = re.compile(
    r"\bpypi\.(?:org|python\.org)|pythonhosted\.org|registry\.(?:npmjs\.org|yarnpkg\.com|terraform\.io)"
    r"|deb\.debian\.org|proxy\.golang\.org|\bcrates\.io"
)


def tracked_text() -> list[tuple[str, str]]:
    found = []
    for name in files():
        data = (ROOT / name).read_bytes()
        if b"\0" not in data:
            found.append((name, data.decode("utf-8", errors="replace")))
    return found


def matching(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{name}:{text.count(chr(10), 0, found.start()) + 1}: {found[0]}"
        for name, text in tracked_text()
        for found in pattern.finditer(text)
    ]


def test_no_file_names_a_path_of_somebodys_machine():
    assert matching(MACHINE) == []


def test_no_file_names_the_host_of_a_package_registry():
    assert matching(REGISTRY) == []


@pytest.mark.parametrize("path", ["/home/{}/x", "see /root/{}", "cd /work/{}", "file:///Users/{}/x"])
def test_a_path_of_a_machine_is_noticed(path):
    assert MACHINE.search(path.format("somebody"))


@pytest.mark.parametrize("path", ["/artwork/x", "https://example.org/homes/x", "deploy/root/x", "~/work/x", "/home/"])
def test_other_paths_are_left_alone(path):
    assert MACHINE.search(path) is None


def test_the_licence_is_there_and_is_the_one_that_is_declared():
    licence = (ROOT / "LICENSE").read_text("utf-8")

    assert "Apache License" in licence
    assert "Version 2.0, January 2004" in licence
    assert PROJECT["project"]["license"].startswith("Apache-2.0")


def test_every_folder_of_the_package_is_a_package():
    folders = {parent for name in files("src/foedus/**.py") for parent in Path(name).parents if parent.parts[1:2]}

    assert [str(folder) for folder in sorted(folders) if not (ROOT / folder / "__init__.py").exists()] == []


def test_every_part_of_the_package_has_its_place_among_the_layers():
    (layers,) = (c["layers"] for c in PROJECT["tool"]["importlinter"]["contracts"] if c["type"] == "layers")
    placed = {part.strip() for layer in layers for part in layer.split("|")}
    parts = {Path(name).parts[2].removesuffix(".py") for name in files("src/foedus/**.py")} - {"__init__"}

    assert parts == placed


def test_scripts_can_be_run():
    scripts = [name for name in files() if (ROOT / name).read_bytes().startswith(b"#!")]

    assert {".ci/run", "dev/setup", "dev/lock", "dev/check"} <= set(scripts)
    assert [name for name in scripts if not (ROOT / name).stat().st_mode & 0o111] == []


def test_files_that_belong_to_one_machine_are_not_tracked():
    assert files("uv.lock", "pylock*.toml", "**/.terraform.lock.hcl", ".venv/**", "**/*.pyc") == []
