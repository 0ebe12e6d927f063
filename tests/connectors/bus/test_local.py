import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.contracts.bus import BusContract

from foedus.connectors.addresses import BadAddress
from foedus.connectors.bus.local import MAGIC, LocalBus, decode, encode, socket_folder
from foedus.ports.bus import BusUnavailable, Message

SOON_S = 10.0


@pytest.fixture
def make(tmp_path):
    made = []

    def make(folder=None):
        made.append(LocalBus(folder) if folder else LocalBus.from_url("local:", data=tmp_path))
        return made[-1]

    yield make
    for bus in made:
        bus.close()


class TestLocalBus(BusContract):
    @pytest.fixture
    def bus(self, make):
        return make()

    @pytest.fixture
    def other(self, make):
        return make()


def python(code, folder):
    head = "import sys, pathlib\nfrom foedus.connectors.bus.local import LocalBus\n"
    head += "bus = LocalBus(pathlib.Path(sys.argv[1]))\n"
    command = [sys.executable, "-c", head + code, str(folder)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


ECHO = """
subscription = bus.subscribe("question")
print("ready", flush=True)
while (message := subscription.next(20)) and message.data != b"end":
    bus.publish("answer", message.data.upper())
bus.close()
"""


def test_another_process_hears_and_answers(make, tmp_path):
    bus = make(tmp_path)
    answers = bus.subscribe("answer")
    with python(ECHO, tmp_path) as child:
        child.stdout.readline()

        for i in range(100):
            bus.publish("question", f"word {i}".encode())
        heard = [answers.next(SOON_S).data for _ in range(100)]
        bus.publish("question", b"end")

    assert heard == [f"WORD {i}".encode() for i in range(100)]
    assert child.returncode == 0


def test_sockets_of_dead_processes_are_removed(make, tmp_path):
    bus = make(tmp_path)
    with python(ECHO, tmp_path) as child:
        child.stdout.readline()
        child.kill()
    left = list(tmp_path.iterdir())

    bus.publish("question", b"anybody?")

    assert len(left) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_is_stopped_delays_one_message_and_not_the_others(make, tmp_path):
    bus = make(tmp_path)
    with python(ECHO, tmp_path) as child:
        child.stdout.readline()
        os.kill(child.pid, signal.SIGSTOP)
        start = time.monotonic()

        for _ in range(1000):
            bus.publish("question", b"x" * 1000)
        took_s = time.monotonic() - start
        os.kill(child.pid, signal.SIGKILL)

    assert took_s < 6


def test_garbage_is_ignored(make, tmp_path):
    bus = make(tmp_path)
    subscription = bus.subscribe("a")
    [address] = tmp_path.iterdir()
    hostile = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    for datagram in (b"", b"\0", MAGIC, MAGIC + b"a", MAGIC + b"\n", MAGIC + b"a..b\n", MAGIC + b"a\n" + b"x" * 4097):
        hostile.sendto(datagram, str(address))
    hostile.sendto(MAGIC + b"\xff\n", str(address))
    hostile.sendto(b"x" * 60_000, str(address))
    hostile.close()
    bus.publish("a", b"still there")

    assert subscription.next(SOON_S) == Message("a", b"still there")


@given(st.binary(max_size=300))
def test_decoding_never_raises(datagram):
    assert decode(datagram) is None or datagram.startswith(MAGIC)
    assert decode(MAGIC + datagram) is None or encode(decode(MAGIC + datagram)) == MAGIC + datagram


@given(st.binary(max_size=4096))
def test_decoding_gives_back_what_was_encoded(data):
    assert decode(encode(Message("a.b", data))) == Message("a.b", data)


@pytest.fixture
def temporary(monkeypatch):
    """An empty folder for temporary files, of a shorter path than pytest's."""
    with tempfile.TemporaryDirectory(prefix="fd-") as folder:
        monkeypatch.setattr("tempfile.tempdir", folder)
        yield Path(folder)


def test_a_folder_with_a_long_path_works_like_any_other(make, tmp_path, temporary):
    folder = tmp_path / ("deep" * 20) / ("deeper" * 20)
    one, two = make(folder), make(folder / ".." / folder.name)
    subscription = one.subscribe("a")

    two.publish("a", b"x")

    assert subscription.next(SOON_S) == Message("a", b"x")
    assert [path.stat().st_mode & 0o777 for path in temporary.iterdir()] == [0o700]
    assert socket_folder(folder).parent == temporary
    assert socket_folder(folder) != socket_folder(folder / "another")


def test_the_folder_is_nobody_elses(make, tmp_path):
    loose = tmp_path / "loose"
    loose.mkdir(mode=0o755)
    loose.chmod(0o755)

    make(loose).subscribe("a")

    assert loose.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_somebody_else_is_refused(make, tmp_path):
    foreign = tmp_path / "foreign"
    foreign.mkdir(mode=0o777)
    os.chown(foreign, 65534, 65534)

    with pytest.raises(BusUnavailable):
        make(foreign).subscribe("a")
    with pytest.raises(BusUnavailable):
        make(foreign).publish("a")


def test_a_link_in_place_of_the_temporary_folder_is_refused(make, tmp_path, temporary):
    folder = tmp_path / ("deep" * 30)
    (tmp_path / "trap").mkdir()
    socket_folder(folder).symlink_to(tmp_path / "trap")

    with pytest.raises(BusUnavailable):
        make(folder).subscribe("a")


def test_nothing_is_made_before_the_first_use(make, tmp_path):
    make(tmp_path / "bus").close()

    assert not (tmp_path / "bus").exists()


def test_closing_removes_the_socket(make, tmp_path):
    bus = make(tmp_path)
    bus.subscribe("a")

    bus.close()

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["local:here", "local://host", "local:?x=1", "memory:"])
def test_an_address_that_means_nothing_is_refused(url):
    with pytest.raises(BadAddress):
        LocalBus.from_url(url, data=Path("unused"))
