"""``python benchmarks/run.py [NAME...] [-- ARGUMENT...]``: the benchmarks of those names, or the quick ones.

Each runs in a process of its own and prints what it measured; the arguments go to each of them.
"""

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
QUICK = ("fold", "rounds", "memory")
PARTS = ("run", "flower_rounds", "light", "machine", "nvflare_rounds", "rivals", "service")  # of the others


def main(words):
    names, arguments = _split(words)
    known = sorted({path.stem for path in FOLDER.glob("*.py")} - set(PARTS))
    unknown = [name for name in names if name not in known]
    if unknown:
        sys.exit(f"there is no benchmark {unknown[0]!r}; known: {', '.join(known)}")
    for name in names or QUICK:
        print(f"== {name}", flush=True)
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *arguments], check=True, cwd=FOLDER.parent)


def _split(words):
    at = words.index("--") if "--" in words else len(words)
    return words[:at], words[at + 1 :]


if __name__ == "__main__":
    main(sys.argv[1:])
