"""Calling NATS servers that strangers name, from threads: streams and federations share it (extra ``nats``).

An event loop runs while something is called, and no longer. Addresses are checked, and connected to by number.
"""

import asyncio
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from foedus.connectors.addresses import driver_of
from foedus.connectors.internet import Guard, literal
from foedus.connectors.loops import Loop
from foedus.core.errors import Invalid
from foedus.ports.sources import Info, SourceRefuses, SourceUnavailable

with driver_of("nats"):
    import nats.errors
    from nats.aio.client import Client
    from nats.js.errors import APIError, NotFoundError

DEFAULT_PORT = 4222
CALL_TIMEOUT_S = 10.0
CLOSE_S = 1.0
MAX_HOSTS = 16
MAX_BYTES = 1 << 30  # of a stream that is made here
_SEED = re.compile(r"SU[A-Z2-7]{56}")


@contextmanager
def connected(guard: Guard, info: Info) -> Iterator[tuple[Loop, Client]]:
    """A client of the first of ``nats_hosts`` that answers. Raises SourceUnavailable, SourceRefuses, Private."""
    with Loop(seconds(info), translated) as loop:
        client = _client(guard, loop, info)
        try:
            yield loop, client
        finally:
            _close(loop, client)


def seconds(info: Info) -> float:
    return min(300.0, max(1.0, number(info, "nats_req_timeout", 30.0)))


def max_bytes(info: Info) -> int:
    return int(min(1 << 40, max(1 << 20, number(info, "nats_stream_max_memory", float(MAX_BYTES)))))


def number(info: Info, name: str, default: float) -> float:
    try:
        found = float(info.get(name) or default)
    except ValueError:
        raise Invalid(f"{name} is a number") from None
    if not 0 < found < 1e15:
        raise Invalid(f"{name} is a positive number")
    return found


def _client(guard: Guard, loop: Loop, info: Info) -> Client:
    refused: Exception | None = None
    for url in _hosts(info):
        host, port = url.hostname or "", url.port or DEFAULT_PORT
        for address in guard.checked(host, port):
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


def _options(info: Info, url: SplitResult, host: str) -> dict[str, Any]:
    user = info.get("nats_sec_user") or unquote(url.username or "")
    password = info.get("nats_sec_password") or unquote(url.password or "")
    options: dict[str, Any] = {
        "name": "foedus", "connect_timeout": 5, "allow_reconnect": False, "error_cb": _quiet,
        "tls": _trust(info.get("nats_sec_ca") or ""), "tls_hostname": host,
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


def _trust(authority: str) -> ssl.SSLContext:
    """What these authorities signed, or those of the machine; which they are can be changed while a process runs."""
    return _trusting(authority, ssl.get_default_verify_paths())


@lru_cache(maxsize=16)
def _trusting(authority: str, _: ssl.DefaultVerifyPaths) -> ssl.SSLContext:
    """Kept, for reading all authorities of a machine takes longer than all else that a connection does."""
    try:
        return ssl.create_default_context(cadata=authority or None)
    except ssl.SSLError:
        raise Invalid("nats_sec_ca is no certificate in PEM") from None


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
