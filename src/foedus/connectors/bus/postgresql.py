"""A bus over the database that is there anyway: LISTEN and NOTIFY of PostgreSQL.

One channel for all; the payload is the subject, a space and the data in base64: NOTIFY carries text below 8000 bytes.
Poolers that hand a connection to another client after each transaction (PgBouncer's transaction mode) do not work.
"""

import base64
import binascii
import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import structlog

from foedus.connectors.addresses import BadAddress, driver_of
from foedus.connectors.subscribers import Subscribers
from foedus.core.errors import Invalid
from foedus.ports.bus import BusUnavailable, Message, Subscription, check_message

with driver_of("postgres"):
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

log = structlog.get_logger(__name__)

CHANNEL = "foedus_wake"
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
# A server that vanishes without a word is noticed within half a minute.
CALLS: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "application_name": "foedus-bus",
}


@contextmanager
def translated() -> Iterator[None]:
    try:
        yield
    except psycopg.Error as exc:
        raise BusUnavailable(reason=type(exc).__name__) from exc


def encode(message: Message) -> str:
    return f"{message.subject} {base64.b64encode(message.data).decode()}"


def decode(payload: bytes) -> Message | None:
    """The message in a payload; None for anything that ``encode`` did not make."""
    subject, _, data = payload.partition(b" ")
    try:
        return check_message(subject.decode("ascii"), base64.b64decode(data, validate=True))
    except (Invalid, UnicodeDecodeError, binascii.Error):
        return None


class Listener:
    """One connection that listens, in a thread of its own, and is made again whenever it breaks."""

    def __init__(self, conninfo: dict[str, Any], subscribers: Subscribers) -> None:
        self._conninfo = conninfo
        self._subscribers = subscribers
        self._stopped, self._stop = socket.socketpair()
        try:
            connection = self._connect()
        except psycopg.Error:
            self._stop.close()
            self._stopped.close()
            raise
        self._thread = threading.Thread(target=self._run, args=(connection,), name="foedus-bus-postgresql", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.close()
        self._thread.join()
        self._stopped.close()

    def _connect(self) -> psycopg.Connection:
        connection = psycopg.connect(**self._conninfo, autocommit=True)
        try:
            connection.execute(f"LISTEN {CHANNEL}")
        except psycopg.Error:
            connection.close()
            raise
        return connection

    def _run(self, connection: psycopg.Connection | None) -> None:
        pause_s = FIRST_PAUSE_S
        while connection is not None or not self._is_stopped(pause_s):
            if connection is None:
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
                try:
                    connection = self._connect()
                except psycopg.Error as exc:
                    log.warning("bus.resume_failed", bus="postgresql", error=type(exc).__name__)
                    continue
                log.info("bus.resumed", bus="postgresql")
                pause_s = FIRST_PAUSE_S
                self._subscribers.wake()  # what was said meanwhile was said to nobody
            with connection:
                if self._listened(connection):
                    return
            connection = None

    def _listened(self, connection: psycopg.Connection) -> bool:
        """Hand on notifications until told to stop (True) or the connection breaks (False)."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._stopped, selectors.EVENT_READ)
            selector.register(connection.fileno(), selectors.EVENT_READ)
            try:
                while True:
                    while notify := connection.pgconn.notifies():
                        message = decode(notify.extra)
                        if message is not None:
                            self._subscribers.deliver(message)
                    if any(key.fileobj is self._stopped for key, _ in selector.select()):
                        return True
                    connection.pgconn.consume_input()
            except psycopg.Error:
                return False

    def _is_stopped(self, timeout_s: float) -> bool:
        with selectors.DefaultSelector() as selector:
            selector.register(self._stopped, selectors.EVENT_READ)
            return bool(selector.select(timeout_s))


class PostgresqlBus:
    """After a lost connection every subscription gets an empty message on its own subject."""

    def __init__(self, conninfo: dict[str, Any]) -> None:
        self._conninfo = CALLS | conninfo
        self._subscribers = Subscribers()
        self._lock = threading.Lock()
        self._sender: psycopg.Connection | None = None
        self._sending = threading.Lock()
        self._listener: Listener | None = None
        self._closed = False

    @classmethod
    def from_url(cls, url: str, *, data: Path) -> Self:  # noqa: ARG003  (every connector is called the same way)
        try:
            return cls(conninfo_to_dict(url))
        except psycopg.ProgrammingError as exc:
            raise BadAddress(str(exc).strip(), scheme="postgresql") from exc

    def publish(self, subject: str, data: bytes = b"") -> None:
        payload = encode(check_message(subject, data))
        with translated(), self._sending:
            try:
                self._notify(payload)
            except psycopg.OperationalError:  # the connection may have been idle since before the server's last start
                self._notify(payload)

    def subscribe(self, subject: str) -> Subscription:
        inbox = self._subscribers.open(subject)
        try:
            with translated(), self._lock:
                self._listener = self._listener or Listener(self._conninfo, self._subscribers)
        except BusUnavailable:
            inbox.close()
            raise
        return inbox

    def close(self) -> None:
        self._subscribers.close()
        with self._lock:
            listener, self._listener = self._listener, None
        if listener:
            listener.close()
        with self._sending:
            self._closed = True
            if self._sender:
                self._sender.close()

    def _notify(self, payload: str) -> None:
        if self._closed:
            raise BusUnavailable("The bus has been closed.")
        if self._sender is None or self._sender.closed:
            self._sender = psycopg.connect(**self._conninfo, autocommit=True)
        try:
            self._sender.execute("SELECT pg_notify(%s, %s)", (CHANNEL, payload))
        except psycopg.OperationalError:
            self._sender.close()
            raise
