"""A bus between the processes of one user on one host, without a server: Unix datagram sockets in a private folder.

Every process that subscribes binds one socket there; publishing sends one datagram to each socket in the folder.
"""

import hashlib
import os
import selectors
import socket
import struct
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self
from uuid import uuid4

from foedus.connectors.addresses import only_scheme
from foedus.connectors.folders import private_folder
from foedus.connectors.subscribers import Subscribers
from foedus.core.errors import Invalid
from foedus.ports.bus import MAX_DATA_BYTES, BusUnavailable, Message, Subscription, check_message

MAX_PATH_BYTES = 107  # an address has room for 108 with its final zero
NAME_BYTES = len("/.0123456789abcdef.sock")
MAGIC = b"foedus1 "
MAX_DATAGRAM_BYTES = len(MAGIC) + 200 + 1 + MAX_DATA_BYTES
SEND_TIMEOUT_S = 2


def encode(message: Message) -> bytes:
    return MAGIC + message.subject.encode() + b"\n" + message.data


def decode(datagram: bytes) -> Message | None:
    """The message in a datagram; None for anything that ``encode`` did not make."""
    if not datagram.startswith(MAGIC):
        return None
    subject, newline, data = datagram.removeprefix(MAGIC).partition(b"\n")
    try:
        return check_message(subject.decode("ascii"), data) if newline else None
    except (Invalid, UnicodeDecodeError):
        return None


def socket_folder(wanted: Path) -> Path:
    """``wanted``, or where its path is too long for a socket's address, one below the folder for temporary files."""
    wanted = wanted.resolve()
    if len(os.fsencode(wanted)) + NAME_BYTES <= MAX_PATH_BYTES:
        return wanted
    digest = hashlib.sha256(os.fsencode(wanted)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"foedus-{os.geteuid()}-{digest}"


class Sender:
    """Sends datagrams to every socket in the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stuck: set[str] = set()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        # Not settimeout: it waits for room in our own queue, finds it and spins while the other one's is full.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", SEND_TIMEOUT_S, 0))

    def send(self, datagram: bytes, *, but_not: str | None) -> None:
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name.endswith(".sock") and not entry.name.startswith(".") and entry.path != but_not:
                    self._send_to(entry.path, datagram)

    def close(self) -> None:
        self._socket.close()

    def _send_to(self, path: str, datagram: bytes) -> None:
        try:
            self._socket.sendto(datagram, socket.MSG_DONTWAIT if path in self._stuck else 0, path)
        except BlockingIOError:
            self._stuck.add(path)
        except FileNotFoundError:
            self._stuck.discard(path)
        except ConnectionRefusedError:  # its process ended without tidying up
            self._stuck.discard(path)
            Path(path).unlink(missing_ok=True)
        else:
            self._stuck.discard(path)


class Listener:
    """Hands on what arrives at a socket of its own in the folder, in a thread of its own."""

    def __init__(self, folder: Path, subscribers: Subscribers) -> None:
        name = f"{uuid4().hex[:16]}.sock"
        self.path = str(folder / name)
        self._subscribers = subscribers
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        # A socket being bound refuses for an instant, and publishers remove what refuses: so the name comes last.
        hidden = folder / f".{name}"
        try:
            self._socket.bind(str(hidden))
            hidden.rename(self.path)
        except OSError:
            self._socket.close()
            raise
        self._stopped, self._stop = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="foedus-bus-local", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.close()
        self._thread.join()
        self._stopped.close()
        self._socket.close()
        Path(self.path).unlink(missing_ok=True)

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._stopped, selectors.EVENT_READ)
            selector.register(self._socket, selectors.EVENT_READ)
            while all(key.fileobj is self._socket for key, _ in selector.select()):
                message = decode(self._socket.recv(MAX_DATAGRAM_BYTES + 1))
                if message is not None:
                    self._subscribers.deliver(message)


class LocalBus:
    """Messages to a process that is stopped or stuck are dropped once the kernel's queue for it is full.

    The first of them waits two seconds for it, later ones do not wait until it has taken one again.
    """

    def __init__(self, folder: Path) -> None:
        self._wanted = folder
        self._subscribers = Subscribers()
        self._lock = threading.Lock()
        self._sender: Sender | None = None
        self._listener: Listener | None = None
        self._closed = False

    @classmethod
    def from_url(cls, url: str, *, data: Path) -> Self:
        only_scheme(url, "local")
        return cls(data / "run" / "bus")

    def publish(self, subject: str, data: bytes = b"") -> None:
        message = check_message(subject, data)
        with translated(self._wanted):
            with self._lock:
                folder = self._folder()
                self._sender = sender = self._sender or Sender(folder)
                own = self._listener.path if self._listener else None
            self._subscribers.deliver(message)
            sender.send(encode(message), but_not=own)

    def subscribe(self, subject: str) -> Subscription:
        inbox = self._subscribers.open(subject)
        try:
            with translated(self._wanted), self._lock:
                folder = self._folder()
                self._listener = self._listener or Listener(folder, self._subscribers)
        except BusUnavailable:
            inbox.close()
            raise
        return inbox

    def close(self) -> None:
        with self._lock:
            self._closed = True
            sender, self._sender = self._sender, None
            listener, self._listener = self._listener, None
        self._subscribers.close()
        if listener:
            listener.close()
        if sender:
            sender.close()

    def _folder(self) -> Path:
        if self._closed:
            raise BusUnavailable("The bus has been closed.")
        folder = socket_folder(self._wanted)
        if self._sender is None and self._listener is None:
            private_folder(folder)
        return folder


@contextmanager
def translated(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise BusUnavailable(folder=str(folder), reason=exc.strerror or str(exc)) from exc
