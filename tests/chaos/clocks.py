"""The clock of a service's processes, put forward and back while they run: a small library that a C compiler makes.

Participants and the test keep the real time, and so does what counts seconds (the monotonic clock).
"""

import shutil
import struct
import subprocess
from pathlib import Path

SOURCE = Path(__file__).parent / "clock.c"


class NoClockError(LookupError):
    """To set a service's clock takes a C compiler (cc)."""


class Clock:
    """``environment`` makes a process go by this clock."""

    def __init__(self, folder: Path) -> None:
        if shutil.which("cc") is None:
            raise NoClockError(NoClockError.__doc__)
        self._file, library = folder / "clock", folder / "clock.so"
        self.set(0)
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, SOURCE], check=True)
        self.environment = {"LD_PRELOAD": str(library), "FOEDUS_TEST_CLOCK": str(self._file)}

    def set(self, seconds: int) -> None:
        """So far from the real time, from now on."""
        with self._file.open("r+b" if self._file.exists() else "wb", buffering=0) as file:
            file.write(struct.pack("q", seconds))
