"""Make or mend .venv from the locks. Called by dev/setup; the standard library only, since nothing else is there yet.

uv installs when it can be had, because it is many times faster; pip does otherwise. Both check every hash.
"""

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STARTS = """
import foedus.server.asgi, foedus.server.start, django, granian.server.embed
django.setup()
import foedus.server.tables, foedus.server.work, foedus.server.urls, foedus.faces.native.streaming.routes
from django.db.migrations.loader import MigrationLoader
MigrationLoader(None)
import foedus.cli.demo, foedus.cli.service, foedus.simulation.demo.participant, foedus.simulation.demo.run
"""
BASE, DEV, UV = "requirements.lock", "requirements-dev.lock", "requirements-uv.lock"
LOCKS: Mapping[str, tuple[str, ...]] = {"base": (BASE,), "dev": (BASE, DEV)}

# People configure pip; uv reads none of that. It gets the same sources, and never fetches an interpreter of its own.
PIP_TO_UV = {"PIP_INDEX_URL": "UV_DEFAULT_INDEX", "PIP_FIND_LINKS": "UV_FIND_LINKS", "PIP_CERT": "SSL_CERT_FILE"}


def main(kind: str) -> int:
    with only_one():
        if stamp(kind).exists() and stamp(kind).read_bytes() == made_from(kind):
            return 0  # another process made it while this one waited
        print(f"Making .venv ({kind}) from {' and '.join(LOCKS[kind])} ...", flush=True)
        for each in LOCKS:
            stamp(each).unlink(missing_ok=True)
        ensure_venv()
        install(kind)
        compile_what_starts()
        # The development lock holds all of the base lock, at the same versions (tests/repo checks it).
        for each in {kind, "base"}:
            stamp(each).write_bytes(made_from(each))
    return 0


@contextmanager
def only_one() -> Iterator[None]:
    """Hold the lock of this checkout's environment; wait for whoever holds it."""
    VENV.mkdir(exist_ok=True)
    with (VENV / ".setup-lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def stamp(kind: str) -> Path:
    return VENV / f"foedus-{kind}.stamp"


def made_from(kind: str) -> bytes:
    """What an environment depends on: where it lies, the project's metadata, the locks. dev/setup says it too."""
    files = ("pyproject.toml", "dev/native.py", "src/foedus/core/compiled/fold.c", *LOCKS[kind])
    return f"{ROOT}\n".encode() + b"".join((ROOT / name).read_bytes() for name in files)


def ensure_venv() -> None:
    """A working interpreter with pip in .venv; whatever else is installed there stays."""
    probe = "import sys, pip; sys.exit(sys.version_info < (3, 11))"
    if PYTHON.exists() and succeeds([str(PYTHON), "-I", "-c", probe]):
        return
    for stale in (VENV / "bin").glob("python*"):
        stale.unlink()  # venv would not replace links into an interpreter that has gone
    if not succeeds([sys.executable, "-m", "venv", str(VENV)]):
        sys.exit("This Python cannot make environments: install its venv module (Debian: apt install python3-venv).")


def install(kind: str) -> None:
    lock = LOCKS[kind][-1]
    # hatchling, which builds foedus, is in the lock: an isolated build would fetch an unlocked one.
    itself = ["--no-deps", "--no-build-isolation", "--editable", str(ROOT)]
    for installer in (uv, pip):
        if installer(["--require-hashes", "-r", str(ROOT / lock)]) and installer(itself):
            return
        print(f"{installer.__name__} could not install.", file=sys.stderr)
    sys.exit(f"Neither uv nor pip could install {lock}: the messages above say why.")


def compile_what_starts() -> None:
    """Keep the bytecode of what a server imports: with PYTHONDONTWRITEBYTECODE every start would compile it again.

    The whole environment would take a minute; this takes what one start takes.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["FOEDUS_DATA"] = str(VENV / "no-data")  # nothing is read there, nor made
    subprocess.run([str(PYTHON), "-c", STARTS], cwd=ROOT, env=environment, check=False)


def pip(arguments: Sequence[str]) -> bool:
    return succeeds([str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments])


def uv(arguments: Sequence[str]) -> bool:
    found = VENV / "bin" / "uv"
    if not found.exists() and not pip(["--require-hashes", "-r", str(ROOT / UV)]):
        return False
    return succeeds(
        [str(found), "pip", "install", "--quiet", "--python", str(PYTHON), *arguments], env=uv_environment()
    )


def uv_environment() -> dict[str, str]:
    given = {theirs: os.environ[ours] for ours, theirs in PIP_TO_UV.items() if os.environ.get(ours)}
    # pip trusts what this machine trusts; a mirror behind a proxy often has no other certificate.
    return {"UV_SYSTEM_CERTS": "true", **given, **os.environ, "UV_PYTHON_DOWNLOADS": "never"}


def succeeds(command: Sequence[str], env: Mapping[str, str] | None = None) -> bool:
    return subprocess.run(command, cwd=ROOT, env=env, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
