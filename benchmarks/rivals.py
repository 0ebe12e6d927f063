"""Other systems, each in an environment of its own that is made when first needed, and kept for the next time."""

import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path

ENVIRONMENTS = Path(__file__).parents[1] / ".bench"
FLOWER = "flwr==1.41.0"
NVFLARE = "nvflare==2.9.*"
LIMIT_S = 240


def environment(requirement):
    """Where the programs of an environment with that package are; None, and a word about it, when there can be none."""
    folder = ENVIRONMENTS / requirement.split("=")[0]
    done = folder / requirement.replace("*", "x")
    if not done.exists():
        try:
            _make(folder, requirement)
        except (OSError, subprocess.CalledProcessError) as exc:
            print(f"{requirement} cannot be installed here, so the comparison with it is left out: {exc}")
            return None
        done.touch()
    return folder / "bin"


def _make(folder, requirement):
    print(f"installing {requirement} (once) ...", flush=True)
    uv = Path(sys.executable).with_name("uv")
    if uv.exists():
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder], check=True)
        install = [uv, "pip", "install", "--quiet", "--python", folder / "bin" / "python"]
    else:
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        install = [folder / "bin" / "python", "-m", "pip", "install", "--quiet"]
    subprocess.run([*install, requirement], check=True)


def awaited(path, count):
    """The list that another process writes there, once it is that long; after four minutes however long it is."""
    ends_at = time.monotonic() + LIMIT_S
    found = []
    while len(found) < count and time.monotonic() < ends_at:
        time.sleep(0.5)
        with contextlib.suppress(OSError, ValueError):  # not there yet, or not all of it
            found = json.loads(path.read_text())
    return found
