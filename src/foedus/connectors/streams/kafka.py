"""Topics of Kafka (extra ``kafka``).

Nothing is committed to the brokers, and no group is joined: where to go on is kept with what was learned, as the offset
of the next record of each partition. Brokers tell a client where else to connect to; each of these addresses is checked
like the first.
"""

import re
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from foedus.connectors.addresses import driver_of
from foedus.connectors.contents import Terms
from foedus.connectors.loops import GuardedLoop, Loop
from foedus.core.errors import Invalid, PlatformError
from foedus.ports.sources import Info, Listing, SourceRefuses, SourceUnavailable
from foedus.ports.streams import BEGINNING, Follower, Message

with driver_of("kafka"):
    from aiokafka import AIOKafkaConsumer, TopicPartition
    from aiokafka import errors as kafka
    from aiokafka.client import AIOKafkaClient

DEFAULT_PORT = 9092
CALL_TIMEOUT_S = 30.0
MAX_HOSTS = 16
MAX_PARTITIONS = 100  # of which one stream keeps the position
MAX_TOPICS = 1000
MOST = 500  # records at once
AT_ONCE_BYTES = 16 << 20
_TOPIC = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}")
_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")

Offsets = Mapping[int, int]


class KafkaStream:
    """``info``: ``bootstrap.servers``, ``kafka.topic``; ``kafka.partitions`` (their numbers, separated by commas),
    ``security.protocol``, ``sasl.mechanism``, ``sasl.username`` and ``sasl.password``, ``auto.offset.reset``.
    """

    def __init__(self, terms: Terms) -> None:
        self._terms = terms

    def latest(self, info: Info) -> str:
        with self._consuming(info) as (loop, consumer, parts):
            return _position(_by_number(loop.call(consumer.end_offsets(parts))))

    @contextmanager
    def follow(self, info: Info, after: str) -> Iterator[Follower]:
        with self._consuming(info) as (loop, consumer, parts):
            first, end = (
                _by_number(loop.call(ask(parts))) for ask in (consumer.beginning_offsets, consumer.end_offsets)
            )
            begin = _starts(_offsets(after), first, end, info)
            for part in parts:
                consumer.seek(part, begin[part.partition])
            yield _Follower(loop, consumer, begin)

    def browse(self, info: Info) -> Listing:
        with self._loop(info) as loop:
            found = loop.call(_metadata(self._options(info)))
        topics = sorted(topic for topic in found.topics() if not topic.startswith("__"))
        return Listing("", files=tuple(topics[:MAX_TOPICS]))

    @contextmanager
    def _consuming(self, info: Info) -> Iterator[tuple[Loop, Any, list[Any]]]:
        """A consumer of the partitions, which reads nothing before it is told from where."""
        topic, options = _topic(info), self._options(info)
        with self._loop(info) as loop:
            parts = _wanted(loop.call(_metadata(options)), topic, info)
            consumer = loop.call(_started(options, parts))
            try:
                yield loop, consumer, parts
            finally:
                with suppress(PlatformError):
                    loop.call(consumer.stop())

    @contextmanager
    def _loop(self, info: Info) -> Iterator[Loop]:
        for host, port in _hosts(info):
            self._terms.guard.checked(host, port)  # said at once; the loop checks whatever is connected to
        made = GuardedLoop(self._terms.guard)
        with Loop(CALL_TIMEOUT_S, partial(translated, made), lambda: made) as loop:
            yield loop

    def _options(self, info: Info) -> dict[str, Any]:
        if info.get("schema.registry.url"):
            raise Invalid("schemas of a registry are not read: data.format is json, csv or protobuf")
        protocol = info.get("security.protocol", "PLAINTEXT").strip().upper()
        mechanism = info.get("sasl.mechanism", "PLAIN").strip().upper()
        if protocol not in _PROTOCOLS or mechanism not in _MECHANISMS:
            raise Invalid(f"security.protocol is one of {_PROTOCOLS}, sasl.mechanism one of {_MECHANISMS}")
        options: dict[str, Any] = {
            "bootstrap_servers": [f"{host}:{port}" for host, port in _hosts(info)], "security_protocol": protocol,
            "client_id": "foedus", "request_timeout_ms": 10_000,
        }  # fmt: skip
        if protocol.endswith("SSL"):
            options["ssl_context"] = ssl.create_default_context()
        if protocol.startswith("SASL"):
            options |= {"sasl_mechanism": mechanism, "sasl_plain_username": info.get("sasl.username", ""),
                        "sasl_plain_password": info.get("sasl.password", "")}  # fmt: skip
        return options


class _Follower:
    def __init__(self, loop: Loop, consumer: Any, offsets: Offsets) -> None:
        self._loop, self._consumer, self._offsets = loop, consumer, dict(offsets)

    def take(self, *, timeout_s: float) -> Sequence[Message]:
        found = self._loop.call(self._consumer.getmany(timeout_ms=int(timeout_s * 1000), max_records=MOST))
        return list(self._messages(found))

    def _messages(self, found: Mapping[Any, Sequence[Any]]) -> Iterator[Message]:
        for part in sorted(found):
            for record in found[part]:
                self._offsets[part.partition] = record.offset + 1
                yield Message(_position(self._offsets), record.value or b"")


async def _metadata(options: Mapping[str, Any]) -> Any:
    """All topics: asking for one by name could make it."""
    client = AIOKafkaClient(**options)
    try:
        await client.bootstrap()
        return await client.fetch_all_metadata()
    finally:
        await client.close()


async def _started(options: Mapping[str, Any], parts: Sequence[Any]) -> Any:
    consumer = AIOKafkaConsumer(
        **options, group_id=None, enable_auto_commit=False, auto_offset_reset="none",
        isolation_level="read_committed", fetch_max_bytes=AT_ONCE_BYTES, max_poll_records=MOST,
    )  # fmt: skip
    try:
        consumer.assign(parts)
        await consumer.start()
    except BaseException:
        await consumer.stop()
        raise
    return consumer


def _wanted(metadata: Any, topic: str, info: Info) -> list[Any]:
    """Raises SourceRefuses, Invalid."""
    there = metadata.partitions_for_topic(topic)
    if not there:
        raise SourceRefuses(f"the brokers have no topic {topic!r}, or do not show it")
    told = [text.strip() for text in info.get("kafka.partitions", "").split(",") if text.strip()]
    if not all(text.isascii() and text.isdecimal() and len(text) < 10 for text in told):
        raise Invalid("kafka.partitions are numbers of partitions, separated by commas; leave it out for all")
    wanted = sorted({int(text) for text in told}) or sorted(there)
    if not set(wanted) <= set(there) or len(wanted) > MAX_PARTITIONS:
        raise Invalid(f"kafka.partitions names up to {MAX_PARTITIONS} of the topic's {len(there)}, counted from 0")
    return [TopicPartition(topic, number) for number in wanted]


def _starts(taken: Offsets, first: Offsets, end: Offsets, info: Info) -> dict[int, int]:
    """Where each partition goes on. Raises SourceRefuses where the topic is not what it was."""
    begin = {number: taken.get(number, first[number]) for number in first}
    for number, offset in begin.items():
        if offset > end[number]:
            raise SourceRefuses("the topic has lost messages that were learned already; make the stream anew")
        if offset < first[number] and info.get("auto.offset.reset", "earliest").strip().lower() != "earliest":
            raise SourceRefuses("messages that were not learned yet are gone, and auto.offset.reset is not earliest")
    return {number: max(offset, first[number]) for number, offset in begin.items()}


@contextmanager
def translated(loop: GuardedLoop) -> Iterator[None]:
    try:
        yield
    except (kafka.KafkaError, OSError) as exc:  # TimeoutError is an OSError
        refused, loop.refused = loop.refused, None
        if refused is not None:
            raise refused from None
        if isinstance(exc, _REFUSALS):
            raise SourceRefuses(f"the brokers refuse: {type(exc).__name__}") from None
        raise SourceUnavailable(f"the brokers do not answer: {type(exc).__name__}") from None


_REFUSALS = (
    kafka.AuthenticationFailedError, kafka.TopicAuthorizationFailedError, kafka.SaslAuthenticationFailed,
    kafka.UnsupportedSaslMechanismError, kafka.IllegalSaslStateError, kafka.InvalidTopicError,
)  # fmt: skip


def _position(offsets: Offsets) -> str:
    return ",".join(f"{number}:{offsets[number]}" for number in sorted(offsets))


def _offsets(position: str) -> dict[int, int]:
    if position == BEGINNING:
        return {}
    pairs = (part.split(":") for part in position.split(","))
    return {int(number): int(offset) for number, offset in pairs}


def _by_number(offsets: Mapping[Any, int]) -> dict[int, int]:
    return {part.partition: offset for part, offset in offsets.items()}


def _topic(info: Info) -> str:
    topic = info.get("kafka.topic", "").strip()
    if not _TOPIC.fullmatch(topic):
        raise Invalid("kafka.topic is the name of a topic: letters, digits, dots, underscores and hyphens")
    return topic


def _hosts(info: Info) -> list[tuple[str, int]]:
    texts = [text.strip() for text in info.get("bootstrap.servers", "").split(",") if text.strip()]
    if not texts or len(texts) > MAX_HOSTS:
        raise Invalid(f"bootstrap.servers names 1 to {MAX_HOSTS} brokers, host:9092, separated by commas")
    found = []
    for text in texts:
        host, colon, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
        host, port = (host, port) if colon else (text, str(DEFAULT_PORT))
        if not (port.isascii() and port.isdecimal() and len(port) < 6 and 0 < int(port) < 1 << 16) or "/" in host:
            raise Invalid("a broker in bootstrap.servers is host:port")
        found.append((host.strip("[]"), int(port)))
    return found
