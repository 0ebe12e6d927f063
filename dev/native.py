"""Compiles ``fold.c`` while foedus is installed, if there is a C compiler; without one foedus is complete and slower.

Called by hatchling. The library needs no Python headers and fits every Python, but one kind of machine: a wheel that
has it says so in its name. ``HATCH_BUILD_NO_HOOKS=true`` makes the wheel without it, which fits every machine.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import platform_tags

PLACE = Path("foedus/core/compiled")
COMPILERS = ("cc", "gcc", "clang")
# No -march: the code asks the processor. No CFLAGS: -ffast-math among them would change bits.
FLAGS = ("-std=gnu11", "-O3", "-ffp-contract=off", "-fPIC", "-shared", "-fvisibility=hidden", "-D_FILE_OFFSET_BITS=64")
SECONDS = 120


class NativeHook(BuildHookInterface):  # type: ignore[type-arg]  # hatchling's parameter is its own configuration
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        folder = Path(self.root, "src", PLACE)
        if version == "editable":
            built(folder / "fold.c", folder / "fold.so")
            return
        self.made = Path(tempfile.mkdtemp())
        library = self.made / "fold.so"
        if built(folder / "fold.c", library):
            build_data["force_include"][str(library)] = str(PLACE / library.name)
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{platform()}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002 - hatchling's signature
        if version != "editable":
            shutil.rmtree(self.made, ignore_errors=True)


def built(source: Path, library: Path) -> bool:
    """Whether there is a library now; it is replaced in one step, for a server may have the old one mapped."""
    part = library.with_name(f"{library.name}.part")
    command = [*compiler(), *FLAGS, str(source), "-o", str(part)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired) as exc:
        said = str(exc)
    else:
        if done.returncode == 0:
            part.replace(library)
            return True
        said = done.stderr
    with suppress(OSError):  # where nothing can be written, nothing was
        part.unlink(missing_ok=True)
    print(f"Means will be folded by NumPy alone; the compiled loop could not be made: {said[-500:]}", file=sys.stderr)
    try:
        library.unlink(missing_ok=True)  # of an older source
    except OSError as exc:
        print(f"{library} may be of an older source and cannot be removed: {exc}", file=sys.stderr)
    return False


def compiler() -> list[str]:
    named = shlex.split(os.environ.get("CC", ""))
    return named or [next(filter(shutil.which, COMPILERS), "cc")]


def platform() -> str:
    """The machine that is compiled for, as tags of wheels name it: one, also where Python fits two (``universal2``)."""
    return next(tag for tag in platform_tags() if not tag.startswith(("manylinux", "musllinux")))
