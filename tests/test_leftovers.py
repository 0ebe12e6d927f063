"""What a killed process leaves behind is removed."""

import signal
import subprocess
import sys
import time

import pytest

MAKE = """
import sys, time
from pathlib import Path
from tests.leftovers import Removed

folder = Path(sys.argv[1])
(folder / "a" / "b").mkdir(parents=True)
removed = Removed(folder)
print("made", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_a_folder_goes_with_the_process_that_made_it(tmp_path, number):
    folder = tmp_path / "folder"
    process = subprocess.Popen(
        [sys.executable, "-c", MAKE, folder], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    with process:
        assert process.stdout.readline() == "made\n"

        process.send_signal(number)

    ends_at = time.monotonic() + 30
    while folder.exists() and time.monotonic() < ends_at:
        time.sleep(0.02)
    assert not folder.exists()
