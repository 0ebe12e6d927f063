"""A strategy of somebody else's, installed for the service under test: it waits at a gate while a round is combined."""

import errno
import os
from pathlib import Path

from tests.e2e.service import until

_MODULE = '''
import os
from dataclasses import dataclass
from pathlib import Path

from foedus.core.strategies.fedavg import FedAvg


@dataclass(frozen=True, slots=True, kw_only=True)
class Gated(FedAvg):
    """FedAvg that waits while there is a gate and somebody holds it."""

    def step(self, state, updates):
        gate = Path(os.environ["FOEDUS_TEST_GATE"])
        if gate.exists():
            gate.read_bytes()
        return FedAvg.step(self, state, updates)
'''


class Gate:
    """Installs the strategy ``gated`` below ``folder``; ``environment`` makes a service find it."""

    def __init__(self, folder):
        self._fifo = folder / "gate"
        info = folder / "packages" / "gated-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: gated\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[foedus.strategies]\ngated = gated:Gated\n")
        (info.parent / "gated.py").write_text(_MODULE)
        known = [str(info.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        self.environment = {"PYTHONPATH": os.pathsep.join(known), "FOEDUS_TEST_GATE": str(self._fifo)}
        self._held = None

    def close(self):
        """Whoever combines from now on stops at the gate."""
        os.mkfifo(self._fifo)

    def wait_until_reached(self):
        """Returns once a worker stands at the gate. From then on others pass."""
        self._held = until(self._hold, what="a worker stands at the gate")
        self._fifo.unlink()

    def worker_of(self, service):
        """The number of the worker that stands at the gate: the one that has it open, or will in a moment."""
        workers = [index for role, index in service.programs if role == "worker"]
        (found,) = until(lambda: [n for n in workers if self._is_open_in(service.programs["worker", n].pid)])
        return found

    def open(self):
        """Let the one who stands there pass, if it still lives."""
        os.close(self._held)
        self._held = None

    def _is_open_in(self, pid):
        gate = os.fstat(self._held).st_ino
        opened = (path.stat().st_ino for path in Path(f"/proc/{pid}/fd").iterdir() if path.exists())
        return gate in opened

    def _hold(self):
        try:
            return os.open(self._fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as exc:
            if exc.errno != errno.ENXIO:  # nobody reads yet
                raise
            return None
