"""Subjects of NATS JetStream (extra ``nats``).

Nothing is acknowledged to the server: where to go on is kept with what was learned, as the incarnation of the stream
and the number of a message in it. A consumer is made for each follower and forgotten with it.
"""

import asyncio
import hashlib
import re
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from foedus.connectors.addresses import driver_of
from foedus.connectors.contents import Terms
from foedus.connectors.internet import literal
from foedus.connectors.loops import Loop
from foedus.core.errors import Invalid
from foedus.ports.sources import Info, Listing, SourceRefuses, SourceUnavailable
from foedus.ports.streams import BEGINNING, Follower, Message

with driver_of("nats"):
    import nats.errors
    from nats.aio.client import Client
    from nats.js import api
    from nats.js.errors import APIError, NotFoundError

DEFAULT_PORT = 4222
CALL_TIMEOUT_S = 10.0
CLOSE_S = 1.0
MAX_HOSTS = 16
MAX_BYTES = 1 << 30  # of a stream that is made here
MAX_SUBJECTS = 1000
FIRST, MOST, AT_ONCE_BYTES = 50, 500, 16 << 20  # messages that are asked for, by how large the last ones were
_SEED = re.compile(r"SU[A-Z2-7]{56}")
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
        with Loop(_seconds(info), translated) as loop:
            client = self._client(loop, info)
            try:
                yield loop, client
            finally:
                _close(loop, client)

    def _client(self, loop: Loop, info: Info) -> Client:
        refused: Exception | None = None
        for url in _hosts(info):
            host, port = url.hostname or "", url.port or DEFAULT_PORT
            for address in self._terms.guard.checked(host, port):
                client = Client()
                there = f"{url.scheme}://{literal(address)}:{port}"
                try:
                    loop.call(client.connect(there, **_options(info, url, host)))
                except (SourceUnavailable, SourceRefuses) as exc:
                    refused = exc
                    _close(loop, client)
                else:
                    return client
        raise refused or Invalid("nats_hosts names no host")


def _close(loop: Loop, client: Client) -> None:
    """Also a client that never was connected, or no longer is: it may hold a socket."""
    with suppress(SourceUnavailable, SourceRefuses):
        loop.call(asyncio.wait_for(client.close(), CLOSE_S))  # it would wait for who never greeted
    loop.call(asyncio.sleep(0.01))  # what was closed goes in the next turn of the loop


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
        except nats.errors.TimeoutError:
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
            storage=api.StorageType.FILE, discard=api.DiscardPolicy.OLD, max_bytes=_bytes(info),
        )  # fmt: skip
        return await js.add_stream(config)
    return await js.stream_info(name)


async def _consumer(client: Client, stream: str, subject: str, start: int) -> Any:
    config = api.ConsumerConfig(
        deliver_policy=api.DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=start, ack_policy=api.AckPolicy.NONE,
        mem_storage=True, num_replicas=1, inactive_threshold=60.0,
    )  # fmt: skip
    return await client.jetstream(timeout=CALL_TIMEOUT_S).pull_subscribe(subject, stream=stream, config=config)


def _options(info: Info, url: SplitResult, host: str) -> dict[str, Any]:
    user = info.get("nats_sec_user") or unquote(url.username or "")
    password = info.get("nats_sec_password") or unquote(url.password or "")
    options: dict[str, Any] = {
        "name": "foedus", "connect_timeout": 5, "allow_reconnect": False, "error_cb": _quiet,
        "tls": ssl.create_default_context(), "tls_hostname": host,
    }  # fmt: skip
    if seed := info.get("nats_sec_nkey_seed", "").strip():
        if not _SEED.fullmatch(seed):
            raise Invalid("nats_sec_nkey_seed is the seed of a user's nkey, which begins with SU")
        options["nkeys_seed_str"] = seed
    elif info.get("nats_sec_token"):
        options["token"] = info["nats_sec_token"]
    elif user:
        options |= {"user": user, "password": password}
    return options


async def _quiet(error: Exception) -> None:
    """Whoever calls learns of it; the library would write it to a log of its own."""


@contextmanager
def translated() -> Iterator[None]:
    try:
        yield
    except NotFoundError:
        raise SourceUnavailable("the stream is gone") from None
    except APIError as exc:
        raise SourceRefuses(f"the NATS server refuses: {exc.description}"[:300]) from None
    except (nats.errors.AuthorizationError, nats.errors.InvalidUserCredentialsError):
        raise SourceRefuses("the NATS server does not take these credentials") from None
    except (nats.errors.Error, OSError, EOFError) as exc:  # TimeoutError is an OSError
        text = str(exc).lower()
        if "authorization" in text or "authentication" in text:
            raise SourceRefuses("the NATS server does not take these credentials") from None
        raise SourceUnavailable(f"the NATS server does not answer: {type(exc).__name__}") from None


def _made(stream: Any) -> str:
    return str(stream.created)


def _hosts(info: Info) -> list[SplitResult]:
    texts = [text.strip() for text in info.get("nats_hosts", "").split(",") if text.strip()]
    if not texts or len(texts) > MAX_HOSTS:
        raise Invalid(f"nats_hosts names 1 to {MAX_HOSTS} servers, such as nats://host:4222, separated by commas")
    return [_host(text if "://" in text else f"nats://{text}") for text in texts]


def _host(text: str) -> SplitResult:
    try:
        url = urlsplit(text)
        _ = url.port
    except ValueError:
        raise Invalid("nats_hosts is no list of addresses") from None
    if url.scheme not in ("nats", "tls") or not url.hostname:
        raise Invalid("an address in nats_hosts begins with nats:// or tls://")
    return url


def _subject(info: Info) -> str:
    subject = info.get("nats.subject", "").strip()
    if not _SUBJECT.fullmatch(subject) or subject.startswith(("$", ">", ".")) or subject.endswith("."):
        raise Invalid("nats.subject is a subject, such as clinic.visits or clinic.>")
    return subject


def _seconds(info: Info) -> float:
    return min(300.0, max(1.0, _number(info, "nats_req_timeout", 30.0)))


def _bytes(info: Info) -> int:
    return int(min(1 << 40, max(1 << 20, _number(info, "nats_stream_max_memory", float(MAX_BYTES)))))


def _number(info: Info, name: str, default: float) -> float:
    try:
        number = float(info.get(name) or default)
    except ValueError:
        raise Invalid(f"{name} is a number") from None
    if not 0 < number < 1e15:
        raise Invalid(f"{name} is a positive number")
    return number
