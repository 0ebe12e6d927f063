import socket
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from foedus.connectors.internet import Guard
from foedus.connectors.session_door import MAX_CONNECTIONS, open_door
from foedus.ports.compute import Session
from foedus.ports.secrets import Secret


def test_a_program_that_knocks_without_end_takes_no_more_than_its_places():
    with ExitStack() as stack:
        path = Path(stack.enter_context(tempfile.TemporaryDirectory()), "door")  # a short one, as sockets have
        stack.enter_context(open_door(Session("http://127.0.0.1:9", Secret("t")), path, Guard()))

        inside = [knocked(stack, path) for _ in range(MAX_CONNECTIONS)]
        assert knocked(stack, path).recv(1) == b""
        assert asked(inside[0]) == b"HTTP/1.1 400"
        inside[0].close()

        assert any(asked(knocked(stack, path)) == b"HTTP/1.1 400" for _ in range(100)), "no place becomes free"


def knocked(stack, path):
    made = stack.enter_context(socket.socket(socket.AF_UNIX))
    made.settimeout(10)
    for _ in range(1000):
        try:
            made.connect(str(path))
        except BlockingIOError:  # a few at a time
            time.sleep(0.01)
        else:
            return made
    raise TimeoutError


def asked(connection):
    try:
        connection.sendall(b"GET nowhere HTTP/1.1\r\n\r\n")
        return connection.recv(12)
    except ConnectionError:
        return b""
