"""The real participant kit of that time, ``xain-sdk`` 0.8.0, unchanged and in an environment of its own."""

import subprocess
import sys

import pytest
from pytest_socket import enable_socket
from tests.faces.nevermined.test_sessions import Conducted, load
from tests.old_kit import install

from foedus.core.market.leading import Phase

pytestmark = [pytest.mark.slow, pytest.mark.django_db]
PROGRAM = """
import io, struct, sys
import numpy as np
from xain_sdk import ParticipantABC, run_participant

class Adds(ParticipantABC):
    def __init__(self, n):
        super().__init__()
        self.n = n

    def deserialize_training_input(self, data):
        return np.load(io.BytesIO(data), allow_pickle=False) if data else None

    def train_round(self, weights):
        return (np.zeros(2), 0) if weights is None else (weights + self.n, self.n)

    def serialize_training_result(self, result):
        weights, samples = result
        file = io.BytesIO()
        np.save(file, weights, allow_pickle=False)
        return struct.pack(">I", samples) + file.getvalue()

run_participant(Adds(int(sys.argv[2])), sys.argv[1], heartbeat_period=0.05)
"""


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    """The Python that has the kit."""
    enable_socket()
    return install(tmp_path_factory.mktemp("kit"))


def test_two_real_participants_finish_a_session(market, kit, tmp_path):
    enable_socket()
    program = tmp_path / "participant.py"
    program.write_text(PROGRAM)
    session = Conducted(market, is_open=True, rounds=4, minParticipants=2, keepRounds=True)

    def script(http):
        command = [kit, program, str(http.base_url)]
        running = [subprocess.Popen([*command, n], stdout=sys.stderr) for n in ("1", "3")]
        return [process.wait(60) for process in running]

    state, codes = session.conduct(script)

    assert (codes, state.phase) == ([0, 0], Phase.FINISHED)
    below = f"market/{session.led.execution}/weights"
    means = [load(b"".join(market.ports.blobs.read(f"{below}/{n}"))).tolist() for n in range(4)]
    assert means == [[0, 0], [2.5, 2.5], [5, 5], [7.5, 7.5]]
    assert all(len(samples) == 2 for samples in state.past)
