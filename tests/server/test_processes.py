"""What processes of the service do beside their work."""

import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

from foedus.server import processes, work

SCRIPT = """
import os, signal
from foedus.server.processes import until_eof

def told(*_):
    print("told", flush=True)
    os._exit(0)

signal.signal(signal.SIGTERM, told)
supervisor = os.getpid()
if os.fork() == 0:
    until_eof(supervisor {other})
    os._exit(0)
os.wait()
print("not told", flush=True)
"""


def said(words=(), *, stdin=subprocess.DEVNULL, other=""):
    command = [*words, sys.executable, "-c", SCRIPT.format(other=other)]
    return subprocess.run(command, check=False, stdin=stdin, capture_output=True, text=True, timeout=60)


def test_a_supervisor_is_told_that_its_standard_input_has_ended():
    answer = said()

    assert (answer.stdout, answer.stderr) == ("told\n", "")


@pytest.mark.parametrize("words", [("sh", "-c", 'exec "$@" <&-', "sh"), ("sh", "-c", 'exec "$@" 0>/dev/null', "sh")])
def test_a_standard_input_that_is_none_or_cannot_be_read_has_ended(words):
    answer = said(words)

    assert (answer.stdout, answer.stderr) == ("told\n", "")


def test_nobody_is_told_in_the_place_of_a_supervisor_that_is_gone():
    assert said(other="+ 1").stdout == "not told\n"


class Ticks:
    """Stands in for what a clock does: the first time goes wrong, the last one stops it."""

    def __init__(self, stop):
        self.stop, self.count = stop, 0

    def tick(self, _ports, *, now):
        self.count += 1
        if self.count == 1:
            raise ValueError(now)
        self.stop.set()


@pytest.mark.parametrize("seconds", [0.01, 0.0])
def test_a_clock_goes_on_whatever_goes_wrong_and_where_it_is_never_to_tick_it_does_not(monkeypatch, seconds):
    stop = threading.Event()
    ticks = Ticks(stop)
    monkeypatch.setattr(work, "Clockwork", lambda: ticks)
    monkeypatch.setattr(processes.bootstrap, "settings", lambda: SimpleNamespace(clock_seconds=seconds))
    clock = threading.Thread(target=processes._tick, args=(None, stop))

    clock.start()
    clock.join(10 if seconds else 0.2)
    stop.set()
    clock.join(10)

    assert ticks.count == (2 if seconds else 0)
    assert not clock.is_alive()


def test_a_clock_ticks_as_soon_as_it_is_there(monkeypatch):
    stop = threading.Event()
    ticks = Ticks(stop)
    ticks.count = 1
    monkeypatch.setattr(work, "Clockwork", lambda: ticks)
    monkeypatch.setattr(processes.bootstrap, "settings", lambda: SimpleNamespace(clock_seconds=600.0))
    clock = threading.Thread(target=processes._tick, args=(None, stop))

    clock.start()
    clock.join(10)
    stop.set()

    assert ticks.count == 2
