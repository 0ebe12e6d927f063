"""Subjects of NATS JetStream (extra ``nats``).

Nothing is acknowledged to the server: where to go on is kept with what was learned, as the incarnation of the stream
and the number of a message in it. A consumer is made for each follower and forgotten with it.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from foedus.connectors.addresses import driver_of
from foedus.connectors.contents import Terms
from foedus.connectors.loops import Loop
from foedus.connectors.nats_calls import CALL_TIMEOUT_S, connected, max_bytes
from foedus.core.errors import Invalid
from foedus.ports.sources import Info, Listing, SourceRefuses, SourceUnavailable
from foedus.ports.streams import BEGINNING, Follower, Message

with driver_of("nats"):
    from nats.aio.client import Client
    from nats.js import api
    from nats.js.errors import NotFoundError

MAX_SUBJECTS = 1000
FIRST, MOST, AT_ONCE_BYTES = 50, 500, 16 << 20  # messages that are asked for, by how large the last ones were
_SUBJECT = re.compile(r"[!-~]{1,255}")


class NatsStream:
    """``info``: ``nats_hosts``, ``nats.subject``; ``nats_sec_user`` and ``nats_sec_password``, ``nats_sec_token`` or
    ``nats_sec_nkey_seed``; ``nats_req_timeout`` (seconds), ``nats_stream_max_memory`` (bytes of a stream that is made
    where there is none).
    """

    def __init__(self, terms: Terms) -> None:
        self._terms = terms

    def latest(self, info: Info) -> str:
        _subject(info)  # what is wrong with it is said before anybody waits for a server
        with self._connected(info) as (loop, client):
            stream = loop.call(_stream(client, info))
            return f"{_made(stream)}/{stream.state.last_seq}"

    @contextmanager
    def follow(self, info: Info, after: str) -> Iterator[Follower]:
        with self._connected(info) as (loop, client):
            stream = loop.call(_stream(client, info))
            made = _made(stream)
            before, _, number = after.rpartition("/")
            taken = int(number) if after != BEGINNING and before == made else 0
            if taken > stream.state.last_seq:
                raise SourceRefuses("the stream has lost messages that were learned already; make it anew")
            inbox = loop.call(_consumer(client, stream.config.name, _subject(info), taken + 1))
            yield _Follower(loop, client, inbox, made)

    def browse(self, info: Info) -> Listing:
        with self._connected(info) as (loop, client):
            found = loop.call(client.jetstream(timeout=CALL_TIMEOUT_S).streams_info())
        subjects = sorted({subject for each in found for subject in each.config.subjects or ()})
        return Listing("", files=tuple(subjects[:MAX_SUBJECTS]))

    @contextmanager
    def _connected(self, info: Info) -> Iterator[tuple[Loop, Client]]:
        with connected(self._terms.guard, info) as (loop, client):
            yield loop, client


class _Follower:
    def __init__(self, loop: Loop, client: Client, inbox: Any, made: str) -> None:
        self._loop, self._client, self._inbox, self._made = loop, client, inbox, made
        self._expected = 1
        self._ask = FIRST

    def take(self, *, timeout_s: float) -> Sequence[Message]:
        if not self._client.is_connected:
            raise SourceUnavailable("the connection to the stream was lost")
        found = self._loop.call(self._fetched(timeout_s))
        for message in found:
            if message.metadata.sequence.consumer != self._expected:
                raise SourceUnavailable("messages were lost on their way")
            self._expected += 1
        if found:
            largest = max(len(message.data) for message in found)
            self._ask = max(1, min(MOST, AT_ONCE_BYTES // max(1, largest)))
        return [Message(f"{self._made}/{message.metadata.sequence.stream}", message.data) for message in found]

    async def _fetched(self, timeout_s: float) -> list[Any]:
        try:
            found: list[Any] = await self._inbox.fetch(self._ask, timeout=timeout_s)
        except TimeoutError:  # the driver's own, or the plain one where its time is up between two steps
            return []
        return found


async def _stream(client: Client, info: Info) -> Any:
    """The stream that keeps the subject, made if there is none."""
    subject = _subject(info)
    js = client.jetstream(timeout=CALL_TIMEOUT_S)
    try:
        name = await js.find_stream_name_by_subject(subject)
    except NotFoundError:
        config = api.StreamConfig(
            name=f"FOEDUS_{hashlib.sha256(subject.encode()).hexdigest()[:16]}", subjects=[subject],
            storage=api.StorageType.FILE, discard=api.DiscardPolicy.OLD, max_bytes=max_bytes(info),
        )  # fmt: skip
        return await js.add_stream(config)
    return await js.stream_info(name)


async def _consumer(client: Client, stream: str, subject: str, start: int) -> Any:
    config = api.ConsumerConfig(
        deliver_policy=api.DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=start, ack_policy=api.AckPolicy.NONE,
        mem_storage=True, num_replicas=1, inactive_threshold=60.0,
    )  # fmt: skip
    return await client.jetstream(timeout=CALL_TIMEOUT_S).pull_subscribe(subject, stream=stream, config=config)


def _made(stream: Any) -> str:
    return str(stream.created)


def _subject(info: Info) -> str:
    subject = info.get("nats.subject", "").strip()
    if not _SUBJECT.fullmatch(subject) or subject.startswith(("$", ">", ".")) or subject.endswith("."):
        raise Invalid("nats.subject is a subject, such as clinic.visits or clinic.>")
    return subject
