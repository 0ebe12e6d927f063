"""A bus over NATS with JetStream: a stream remembers the last wake-ups, so that whoever reconnects catches up.

Subjects on the wire are ``foedus.wake.`` and ours. A process follows the whole stream with one consumer, and makes it
again, from the message after the last one seen, when the connection or the consumer is lost.
"""

import asyncio
import re
import ssl
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import unquote

import structlog

from foedus.connectors.addresses import BadAddress, driver_of, split_address
from foedus.connectors.subscribers import Subscribers
from foedus.core.errors import Invalid
from foedus.ports.bus import BusUnavailable, Subscription, check_message

with driver_of("nats"):
    import nats.errors
    from nats.aio.client import Client
    from nats.js import api
    from nats.js.errors import NoStreamResponseError, NotFoundError

STREAM = api.StreamConfig(
    name="FOEDUS_WAKE",
    subjects=["foedus.wake.>"],
    storage=api.StorageType.FILE,  # survives a restart of the server
    discard=api.DiscardPolicy.OLD,
    max_age=3600.0,
    max_bytes=64 << 20,
    num_replicas=1,
)
PREFIX = "foedus.wake."
HEARTBEAT_S = 2.0
PATIENCE_S = 3 * HEARTBEAT_S
RETRY_S = 0.2
CALL_TIMEOUT_S = 3.0
CALLS: dict[str, Any] = {
    "name": "foedus-bus",
    "connect_timeout": 2,
    "reconnect_time_wait": RETRY_S,
    "max_reconnect_attempts": -1,
}
ADDRESS = re.compile(r"(?P<scheme>nats|tls)://(?:(?P<who>[^@/?#]*)@)?(?P<hosts>[^@/?#]+)/?(?P<query>\?.*)?")

T = TypeVar("T")
log = structlog.get_logger(__name__)


@contextmanager
def translated() -> Iterator[None]:
    try:
        yield
    except (nats.errors.Error, OSError) as exc:  # TimeoutError is an OSError
        raise BusUnavailable(reason=str(exc) or type(exc).__name__) from exc


class Follower:
    """Hands on the stream's messages. Lives on the loop; nothing here blocks."""

    def __init__(self, client: Any, subscribers: Subscribers) -> None:
        self._client = client
        self._js = client.jetstream(timeout=CALL_TIMEOUT_S)
        self._subscribers = subscribers
        self._inbox: Any = None
        self._next: int | None = None  # sequence in the stream
        self._created: Any = None
        self._expected = 1  # sequence in the consumer
        self._alive = False
        self.lost = asyncio.Event()

    async def resume(self) -> None:
        """Follow from the next message on; the first time, from the first one that is still to come."""
        if self._inbox is not None:
            old, self._inbox = self._inbox, None
            await old.unsubscribe()
        info = await self.stream()
        again = self._next is not None
        if self._next is None:
            self._next = info.state.last_seq + 1
        elif info.created != self._created or info.state.last_seq < self._next - 1:
            self._next = 1  # another stream of the same name: all of it is new
        self._created = info.created
        self._expected, deliver_to = 1, self._client.new_inbox()
        self._inbox = await self._client.subscribe(deliver_to, cb=partial(self._take, deliver_to))
        await self._js.add_consumer(
            STREAM.name,
            api.ConsumerConfig(
                deliver_subject=deliver_to,
                deliver_policy=api.DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=self._next,
                ack_policy=api.AckPolicy.NONE,
                idle_heartbeat=HEARTBEAT_S,
                mem_storage=True,
                num_replicas=1,
            ),
        )
        self._alive = True
        if again:
            log.info("bus.resumed", bus="nats")
            self._subscribers.wake()  # some of it may have aged out, or the stream may be a new one

    async def stream(self) -> Any:
        try:
            return await self._js.stream_info(STREAM.name)
        except NotFoundError:
            return await self._js.add_stream(STREAM)

    async def watch(self) -> None:
        """Resume whenever the connection came back, a message was skipped or the heartbeats stopped."""
        wait_s = PATIENCE_S
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self.lost.wait(), wait_s)
            wait_s = PATIENCE_S
            if self.lost.is_set() or not self._alive:
                self.lost.clear()
                self._alive = False  # until it is known to have worked
                try:
                    await self.resume()
                except (nats.errors.Error, OSError) as exc:
                    log.warning("bus.resume_failed", bus="nats", error=type(exc).__name__)
                    wait_s = RETRY_S
            else:
                self._alive = False  # until the next heartbeat

    async def _take(self, inbox: str, message: Any) -> None:
        if self._inbox is not None and inbox != self._inbox.subject:
            return  # from a consumer that was given up
        self._alive = True
        if not message.reply:
            said = int((message.headers or {}).get("Nats-Last-Consumer", self._expected - 1))
            if said != self._expected - 1:
                self.lost.set()
            return
        sequence = message.metadata.sequence
        if sequence.consumer != self._expected:
            self.lost.set()
            return
        self._expected += 1
        self._next = sequence.stream + 1
        with suppress(Invalid):  # somebody else's message under our prefix
            self._subscribers.deliver(check_message(message.subject.removeprefix(PREFIX), message.data))


class Connection:
    """A client of NATS on an event loop in a thread of its own."""

    def __init__(self, options: dict[str, Any], subscribers: Subscribers) -> None:
        self._client = Client()
        self._last_error: Exception | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="foedus-bus-nats", daemon=True)
        self._thread.start()
        try:
            self._follower = self.call(self._connect(options, subscribers))
        except BaseException:
            self.close()
            raise
        self._watch: asyncio.Task[None] | None = None

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine on the loop. Its own timeouts end it."""
        with translated():
            return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def publish(self, subject: str, data: bytes) -> None:
        js = self._client.jetstream(timeout=CALL_TIMEOUT_S)
        try:
            await js.publish(PREFIX + subject, data)
        except NoStreamResponseError:
            await self._follower.stream()
            await js.publish(PREFIX + subject, data)

    async def follow(self) -> None:
        if self._watch is None:
            await self._follower.resume()
            self._watch = asyncio.create_task(self._follower.watch())

    def close(self) -> None:
        try:
            asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    async def _connect(self, options: dict[str, Any], subscribers: Subscribers) -> Follower:
        follower = Follower(self._client, subscribers)

        async def reconnected() -> None:
            follower.lost.set()

        async def failed(error: Exception) -> None:
            self._last_error = error

        connecting = self._client.connect(**CALLS, **options, error_cb=failed, reconnected_cb=reconnected)
        try:
            await asyncio.wait_for(connecting, CALL_TIMEOUT_S)  # by itself it would try for ever
        except TimeoutError:
            raise self._last_error or TimeoutError("no answer") from None
        return follower

    async def _close(self) -> None:
        # The client's tasks first, and again and again: one that is just failing to connect swallows a cancellation
        # and tries for ever, and a client that is closed meanwhile forgets the connection it gets.
        while others := [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]:
            for task in others:
                task.cancel()
            await asyncio.wait(others, timeout=0.05)
        # Gathered, because it ends as if cancelled where one of them was just waiting for the connection to close.
        await asyncio.gather(self._client.close(), return_exceptions=True)


class NatsBus:
    """After a lost connection a subscription gets what it missed, and an empty message on its own subject.

    Its user needs ``foedus.wake.>``, ``$JS.API.>`` and ``_INBOX.>``.
    """

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        self._subscribers = Subscribers()
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._closed = False

    @classmethod
    def from_url(cls, url: str, *, data: Path) -> Self:  # noqa: ARG003  (every connector is called the same way)
        return cls(connect_options(url))

    def publish(self, subject: str, data: bytes = b"") -> None:
        message = check_message(subject, data)
        connection = self._connected()
        connection.call(connection.publish(message.subject, message.data))

    def subscribe(self, subject: str) -> Subscription:
        inbox = self._subscribers.open(subject)
        try:
            connection = self._connected()
            with self._lock:
                connection.call(connection.follow())
        except BusUnavailable:
            inbox.close()
            raise
        return inbox

    def close(self) -> None:
        self._subscribers.close()
        with self._lock:
            self._closed = True
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

    def _connected(self) -> Connection:
        with self._lock:
            if self._closed:
                raise BusUnavailable("The bus has been closed.")
            self._connection = self._connection or Connection(self._options, self._subscribers)
            return self._connection


def connect_options(url: str) -> dict[str, Any]:
    """What the client is to be told: hosts apart from credentials, as it writes the former into its errors."""
    match = ADDRESS.fullmatch(url)
    if not match:
        raise BadAddress("Write nats://host or tls://host, several hosts joined by commas.", scheme=url[:4])
    hosts = match["hosts"].split(",")
    for host in hosts:
        _, given = split_address(f"nats://{host}{match['query'] or ''}", ("nkey_seed", "nkey_seed_file", "ca"))
    options: dict[str, Any] = {"servers": [f"{match['scheme']}://{host}" for host in hosts]}
    user, has_password, password = (match["who"] or "").partition(":")
    if has_password:
        options |= {"user": unquote(user), "password": unquote(password)}
    elif user:
        options["token"] = unquote(user)
    if "nkey_seed" in given:
        options["nkeys_seed_str"] = given["nkey_seed"]
    if "nkey_seed_file" in given:
        options["nkeys_seed"] = given["nkey_seed_file"]
    if match["scheme"] == "tls":
        options["tls"] = ssl.create_default_context(cafile=given.get("ca"))
    elif "ca" in given:
        raise BadAddress("The option 'ca' goes with tls://.", scheme=match["scheme"])
    return options
