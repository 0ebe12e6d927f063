"""Earlier states of this repository, unpacked so that their code runs beside the present one."""

import os
import subprocess
import tarfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
MIGRATIONS = ":(glob)src/foedus/records/*/migrations/0*.py"


class NoHistoryError(LookupError):
    """An upgrade takes an earlier commit, and this checkout has none."""


class Release:
    """The code of a commit; ``environment`` makes a process run it, entry points and all."""

    def __init__(self, commit: str, folder: Path) -> None:
        archive = folder / "code.tar"
        _git("archive", "--output", str(archive), commit, "src", "pyproject.toml")
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
        archive.unlink()
        self.commit, source = commit, folder / "src"
        project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        info = source / "foedus-0.dist-info"  # found before the installed one, which speaks of the present code
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: foedus\nVersion: 0\n")
        lines = []
        for group, names in project.get("entry-points", {}).items():
            lines += [f"[{group}]", *(f"{name} = {target}" for name, target in names.items())]
        (info / "entry_points.txt").write_text("\n".join([*lines, ""]))
        self.environment = {"PYTHONPATH": os.pathsep.join([str(source), str(ROOT)])}


def before_the_latest_migration() -> str:
    """The commit just before the present tables: what runs when they are changed under it."""
    latest = _git("log", "-1", "--format=%H", "--", MIGRATIONS)
    return _commit(f"{latest}~1" if latest else "")


def the_one_before() -> str:
    return _commit("HEAD~1")


def long_ago() -> str:
    """Two hundred commits back: participants are rarely upgraded on the day on which their server is."""
    return _commit("HEAD~200")


def the_latest_release() -> str:
    """The newest tag of a version before the present commit."""
    try:
        return _commit(_git("describe", "--tags", "--abbrev=0", "--match", "v[0-9]*", "HEAD~1"))
    except subprocess.CalledProcessError as exc:
        raise NoHistoryError("No version has been released yet.") from exc


def _commit(name: str) -> str:
    try:
        return _git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    except NoHistoryError:
        raise
    except subprocess.CalledProcessError as exc:
        raise NoHistoryError(NoHistoryError.__doc__) from exc


def _git(*arguments: str) -> str:
    try:
        run = subprocess.run(["git", "-C", ROOT, *arguments], check=True, capture_output=True, text=True)
    except FileNotFoundError as exc:
        raise NoHistoryError(NoHistoryError.__doc__) from exc
    return run.stdout.strip()
