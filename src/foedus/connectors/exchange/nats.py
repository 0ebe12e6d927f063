"""Federations over NATS JetStream (extra ``nats``): one stream a federation, which keeps the last message of a subject.

Messages are at ``sml.{federation}.{kind}.{node}``. One that is larger than a server takes at once goes in parts,
``smlp.{federation}.{kind}-{0 or 1}-{number}.{node}``, whose digest its own subject then names; two sets of parts take
turns, so that whoever reads one set is not overtaken by the next message. What the stream holds is bounded by the
number of nodes, and by ``nats_stream_max_memory``.

``told``: ``nats_hosts``; ``nats_sec_user`` and ``nats_sec_password``, ``nats_sec_token`` or ``nats_sec_nkey_seed``;
``nats_sec_ca`` (PEM) for a server whose certificate no known authority signed; ``nats_req_timeout`` (seconds);
``nats_stream_max_memory`` (bytes). A user needs ``sml.{federation}.>``, ``smlp.{federation}.>``, ``$JS.API.>`` and
``_INBOX.>``.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from foedus.connectors.addresses import driver_of
from foedus.connectors.contents import Terms
from foedus.connectors.loops import Loop
from foedus.connectors.nats_calls import CALL_TIMEOUT_S, connected, max_bytes
from foedus.core.errors import TooLarge
from foedus.ports.exchange import (
    BEGINNING,
    MAX_BYTES,
    Delivery,
    ExchangeRefuses,
    ExchangeUnavailable,
    FederationTaken,
    Link,
    Member,
    Told,
)
from foedus.ports.sources import SourceRefuses, SourceUnavailable

with driver_of("nats"):
    from nats.aio.client import Client
    from nats.js import api
    from nats.js.errors import NotFoundError

PART_BYTES = 512 << 10  # below what servers take at once unless told otherwise, which is 1 MiB
AT_ONCE = 64  # messages
_TOLD = ("nats_hosts", "nats_sec_user", "nats_sec_password", "nats_sec_token", "nats_sec_nkey_seed", "nats_sec_ca",
         "nats_req_timeout", "nats_stream_max_memory")  # fmt: skip
_DIGEST, _LENGTH, _SET = "Foedus-Digest", "Foedus-Length", "Foedus-Set"
_OWNER = "foedus-node"
_FAREWELL = "leave"


class NatsExchange:
    """The stream is made by a federation's first node, and removed with it."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms

    def open(self, first: Member) -> Told:
        with self._calling(first) as (loop, client):
            if _owner(loop, client, first) is None:
                loop.call(client.jetstream(timeout=CALL_TIMEOUT_S).add_stream(_config(first)))
            if _owner(loop, client, first) != first.node:
                raise FederationTaken(f"there is a federation {first.federation!r} on this NATS server already")
        return {name: first.told[name] for name in _TOLD if first.told.get(name)}

    def join(self, member: Member) -> Told:
        with self._calling(member) as (loop, client):
            if _owner(loop, client, member) is None:
                raise ExchangeRefuses("there is no such federation on this NATS server")
        return {}

    def admit(self, first: Member, node: str, applicant: Told) -> None:
        """Whoever has the invitation's credentials may publish; whether it is believed is the members' affair."""

    def expel(self, first: Member, node: str, applicant: Told) -> None:  # noqa: ARG002 - nothing was noted
        """What it published goes. That it can publish no more is up to who gave it the credentials."""
        self._purge(Member(first.federation, node, first.told), keep=())

    def leave(self, member: Member) -> None:
        self._purge(member, keep=(_FAREWELL,))

    def close(self, first: Member) -> None:
        with self._calling(first) as (loop, client):
            if _owner(loop, client, first) == first.node:
                loop.call(client.jetstream(timeout=CALL_TIMEOUT_S).delete_stream(_stream(first)))

    @contextmanager
    def attach(self, member: Member, after: str) -> Iterator[Link]:
        with self._calling(member) as (loop, client):
            yield NatsLink(loop, client, member, after)

    def _purge(self, member: Member, *, keep: Sequence[str]) -> None:
        with self._calling(member) as (loop, client):
            if _owner(loop, client, member) is None:
                return
            js = client.jetstream(timeout=CALL_TIMEOUT_S)
            for prefix in ("sml", "smlp"):
                subjects = f"{prefix}.{member.federation}.*.{member.node}"
                info = loop.call(js.stream_info(_stream(member), subjects_filter=subjects))
                for subject in info.state.subjects or {}:
                    if subject.split(".")[2] not in keep:
                        loop.call(js.purge_stream(_stream(member), subject=subject))

    @contextmanager
    def _calling(self, member: Member) -> Iterator[tuple[Loop, Client]]:
        with translated(), connected(self._terms.guard, member.told) as (loop, client):
            yield loop, client


class NatsLink:
    """A connection that is not made again once it is lost: a new link goes on from the position that was kept.

    What receives is made with the first ``take``: most links only publish something.
    """

    def __init__(self, loop: Loop, client: Client, member: Member, after: str) -> None:
        self._loop, self._client, self._member, self._after = loop, client, member, after
        self._js = client.jetstream(timeout=CALL_TIMEOUT_S)
        self._inbox: Any = None
        self._made = ""  # when the stream was

    def publish(self, kind: str, data: bytes) -> None:
        if len(data) > MAX_BYTES:
            raise TooLarge(f"a message of a federation has at most {MAX_BYTES} bytes")
        with translated():
            self._loop.call(self._published(kind, data))

    def take(self, *, timeout_s: float) -> Sequence[Delivery]:
        if not self._client.is_connected:
            raise ExchangeUnavailable("the connection to the NATS server was lost")
        with translated():
            return self._loop.call(self._fetched(timeout_s))

    def done(self, deliveries: Sequence[Delivery]) -> None:
        """Where to go on is all in the position."""

    async def _published(self, kind: str, data: bytes) -> None:
        subject = self._subject("sml", kind)
        if len(data) <= PART_BYTES:
            await self._js.publish(subject, data)
            return
        last = await self._last(subject)
        which = "1" if last is not None and (last.headers or {}).get(_SET) == "0" else "0"
        for number, start in enumerate(range(0, len(data), PART_BYTES)):
            await self._js.publish(self._subject("smlp", f"{kind}-{which}-{number}"), data[start : start + PART_BYTES])
        said = {_DIGEST: hashlib.sha256(data).hexdigest(), _LENGTH: str(len(data)), _SET: which}
        await self._js.publish(subject, b"", headers=said)

    async def _fetched(self, timeout_s: float) -> list[Delivery]:
        if self._inbox is None:
            info = await self._js.stream_info(_stream(self._member))
            self._made = str(info.created)
            self._inbox = await _consumer(self._client, self._member, _taken(self._after, info) + 1)
        try:
            found = await self._inbox.fetch(AT_ONCE, timeout=timeout_s)
        except TimeoutError:  # the driver's own, or the plain one where its time is up between two steps
            return []
        return [delivery for each in found if (delivery := await self._delivery(each)) is not None]

    async def _delivery(self, message: Any) -> Delivery | None:
        words = message.subject.split(".")
        kind, sender = words[2], words[3]
        position, at = f"{self._made}/{message.metadata.sequence.stream}", message.metadata.timestamp.timestamp()
        headers = message.headers or {}
        if _DIGEST not in headers:
            return Delivery(sender, kind, message.data, position, at)
        if sender == self._member.node:
            return Delivery(sender, kind, b"", position, at)  # its own: nobody wants the parts
        data = await self._joined(kind, sender, headers)
        return None if data is None else Delivery(sender, kind, data, position, at)

    async def _joined(self, kind: str, sender: str, headers: Mapping[str, str]) -> bytes | None:
        """None where a later message has taken the place of some parts: it comes next."""
        length, which = headers.get(_LENGTH, ""), headers.get(_SET, "")
        if not length.isdecimal() or int(length) > MAX_BYTES or which not in ("0", "1"):
            return b""  # no message of ours: whoever opens it says so
        pieces: list[bytes] = []
        for number in range(-(-int(length) // PART_BYTES)):
            part = await self._last(f"smlp.{self._member.federation}.{kind}-{which}-{number}.{sender}")
            if part is None or part.data is None:
                return None
            pieces.append(part.data)
        data = b"".join(pieces)[: int(length)]
        return data if hashlib.sha256(data).hexdigest() == headers[_DIGEST] else None

    async def _last(self, subject: str) -> Any:
        try:
            return await self._js.get_last_msg(_stream(self._member), subject)
        except NotFoundError:
            return None

    def _subject(self, prefix: str, kind: str) -> str:
        return f"{prefix}.{self._member.federation}.{kind}.{self._member.node}"


def _stream(member: Member) -> str:
    return f"SML_{member.federation}"


def _config(first: Member) -> Any:
    return api.StreamConfig(
        name=_stream(first), subjects=[f"sml.{first.federation}.*.*", f"smlp.{first.federation}.*.*"],
        storage=api.StorageType.FILE, discard=api.DiscardPolicy.OLD, max_msgs_per_subject=1, num_replicas=1,
        max_bytes=max_bytes(first.told), metadata={_OWNER: first.node},
    )  # fmt: skip


def _owner(loop: Loop, client: Client, member: Member) -> str | None:
    """Who made the federation's stream; None where there is none."""

    async def asked() -> str | None:
        try:
            info = await client.jetstream(timeout=CALL_TIMEOUT_S).stream_info(_stream(member))
        except NotFoundError:
            return None
        return (info.config.metadata or {}).get(_OWNER, "")

    return loop.call(asked())


def _taken(after: str, info: Any) -> int:
    """The number of the last message that was taken in; 0 where the stream is another one by now."""
    made, _, number = after.rpartition("/")
    same = after != BEGINNING and made == str(info.created) and number.isdecimal()
    return int(number) if same and int(number) <= info.state.last_seq else 0


async def _consumer(client: Client, member: Member, start: int) -> Any:
    config = api.ConsumerConfig(
        deliver_policy=api.DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=start, ack_policy=api.AckPolicy.NONE,
        mem_storage=True, num_replicas=1, inactive_threshold=60.0,
    )  # fmt: skip
    js = client.jetstream(timeout=CALL_TIMEOUT_S)
    return await js.pull_subscribe(f"sml.{member.federation}.*.*", stream=_stream(member), config=config)


@contextmanager
def translated() -> Iterator[None]:
    try:
        yield
    except SourceUnavailable as exc:
        raise ExchangeUnavailable(exc.message) from exc
    except SourceRefuses as exc:
        raise ExchangeRefuses(exc.message) from exc
