"""Folders that go with the process that made them, however that ends: an exit handler does not outlive a signal."""

import subprocess
from pathlib import Path

_REMOVE = (
    'trap "" HUP INT TERM; cat > /dev/null; until rm -rf "$0"; do sleep 0.2; done'  # what dies with us still writes
)


class Removed:
    """``folder`` is removed at ``now``, or once this process is gone."""

    def __init__(self, folder: Path) -> None:
        # It reads from a pipe that the system closes for the dead. A session of its own keeps signals to ours away.
        self._process = subprocess.Popen(["sh", "-c", _REMOVE, folder], stdin=subprocess.PIPE, start_new_session=True)

    def now(self) -> None:
        self._process.communicate()
