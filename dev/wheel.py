"""Build the wheel and try it as a stranger would get it: complete, without tests, and importable on its own."""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Runs inside the unpacked wheel: whatever the wheel promises by entry point must be there, and must come from it.
TRY = """
import sys
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path

home = Path(sys.argv[1])
sys.path.insert(0, str(home))
(mine,) = metadata.distributions(name="foedus", path=[str(home)])
for module in ("foedus", "foedus.cli", "foedus.sdk"):
    assert Path(import_module(module).__file__).is_relative_to(home), f"{module} did not come from the wheel"
broken = [point.value for point in mine.entry_points if find_spec(point.module) is None]
assert not broken, f"entry points that lead nowhere: {broken}"
print(f"{mine.name} {mine.version}: {len(list(mine.entry_points))} entry points")
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        wheel = build(Path(folder))
        names = set(zipfile.ZipFile(wheel).namelist())
        complain(missing_from(names), "tracked files that the wheel lacks")
        complain(strangers_in(names), "files that do not belong in a wheel")
        home = Path(folder, "home")
        zipfile.ZipFile(wheel).extractall(home)
        if subprocess.run([sys.executable, "-W", "error", "-c", TRY, str(home)], cwd=folder, check=False).returncode:
            sys.exit("The unpacked wheel does not work; the message above says why.")
        print(f"{wheel.name}: {len(names)} files, {wheel.stat().st_size / 1024:.0f} KiB")


def build(folder: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    (wheel,) = folder.glob("*.whl")
    return wheel


def missing_from(names: set[str]) -> set[str]:
    git = ["git", "ls-files", "-z", "src/foedus"]
    tracked = subprocess.run(git, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    return {name.removeprefix("src/") for name in tracked if name and (ROOT / name).exists()} - names


def strangers_in(names: set[str]) -> set[str]:
    ours = {name for name in names if name.startswith("foedus/") or ".dist-info/" in name}
    tests = {name for name in ours if Path(name).name.startswith(("test_", "conftest")) or "/tests/" in name}
    return (names - ours) | tests


def complain(names: set[str], what: str) -> None:
    if names:
        sys.exit(f"{what}: {', '.join(sorted(names))}")


if __name__ == "__main__":
    main()
