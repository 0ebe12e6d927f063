"""Signatures of SymetryML requests: what is signed, in every form that published clients use.

The HMAC-SHA-256, keyed with the Base64-decoded secret key, of these lines, each with a newline behind it: verb, MD5 of
the body, secret key in Base64, date, customer, body, resource, query. Without a body or a query their lines are left
out; the MD5's stays, empty.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

SECRET_STANDS_AS = b"SECRETKEY"
# Decoding these would let a query that was signed in one meaning pass in another one.
_HIDDEN_IN_QUERY = (b"%26", b"%3d", b"%2b", b"%25", b"%23", b"%0a")
_HIDDEN_IN_PATH = (b"%2f", b"%3f", b"%25", b"%23", b"%0a")


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A request as it arrived. ``path`` begins with a slash; ``query`` has no question mark; both are still encoded.

    ``origin`` is scheme and host, such as ``https://example.org:8080``: some clients sign absolute addresses.
    """

    verb: str
    date: str
    customer: str
    path: bytes
    query: bytes = b""
    body: bytes = b""
    origin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketMessage:
    """One text message of a WebSocket: ``urls`` are the forms of its address that clients sign."""

    date: str
    customer: str
    payload: bytes
    urls: tuple[str, ...]
    extra: tuple[str, ...]


def content_md5(body: bytes) -> str:
    """What ``Content-MD5`` says of a body: Base64, or nothing when there is none. A checksum, no protection."""
    if not body:
        return ""
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


def sign(message: Message, secret: str) -> str:
    """The signature of ``message`` under ``secret`` (Base64) in the canonical form: path and query as they are sent."""
    return _signature(next(_texts(message, secret.encode())), secret)


def sign_socket_message(message: SocketMessage, secret: str) -> str:
    """The signature of a WebSocket's message, under the first of its addresses."""
    return _signature(next(_socket_texts(message, secret.encode())), secret)


def is_signed(message: Message | SocketMessage, secret: str, signature: str) -> bool:
    """Whether ``signature`` fits the message in any of the accepted forms. Compared in constant time."""
    key = secret.encode()
    found = False
    for text in _socket_texts(message, key) if isinstance(message, SocketMessage) else _texts(message, key):
        found |= hmac.compare_digest(_signature(text, secret).encode(), signature.encode())
    return found


def string_to_sign(message: Message, *, shown_body_bytes: int) -> str:
    """What the server signed, for a client that looks for its mistake: no secret, and only the body's beginning."""
    body = message.body[:shown_body_bytes] + (b"..." if len(message.body) > shown_body_bytes else b"")
    text = next(_texts(message, SECRET_STANDS_AS, body))
    return text.decode("utf-8", errors="replace")


def _texts(message: Message, secret: bytes, shown: bytes | None = None) -> Iterator[bytes]:
    head: list[str | bytes] = [message.verb.upper(), content_md5(message.body), secret, message.date, message.customer]
    body = [message.body if shown is None else shown] if message.body else []
    for query in _once(_forms(message.query, _HIDDEN_IN_QUERY)):
        tail = [query] if message.query else []
        for path in _once(_forms(message.path, _HIDDEN_IN_PATH)):
            for resource in _resources(path, message.origin):
                yield _lines([*head, *body, resource, *tail])


def _resources(path: bytes, origin: str) -> Iterator[bytes]:
    """With its slash, as an absolute address, and without the slash: today's clients, the documentation, old ones."""
    yield path
    if origin:
        yield origin.encode() + path
    yield path.removeprefix(b"/")


def _forms(text: bytes, hidden: Iterable[bytes]) -> Iterator[bytes]:
    """As sent; and decoded, as clients sign whose HTTP library encodes later, if that cannot mean another thing."""
    yield text
    lowered = text.lower()
    if not any(code in lowered for code in hidden):
        yield unquote_to_bytes(text)


def _once(forms: Iterable[bytes]) -> list[bytes]:
    return list(dict.fromkeys(forms))


def _socket_texts(message: SocketMessage, secret: bytes) -> Iterator[bytes]:
    head: list[str | bytes] = [content_md5(message.payload), secret, message.date, message.customer, message.payload]
    for url in message.urls:
        yield _lines([*head, url, *message.extra])


def _lines(lines: Iterable[str | bytes]) -> bytes:
    return b"".join((line.encode() if isinstance(line, str) else line) + b"\n" for line in lines)


def _signature(text: bytes, secret: str) -> str:
    return base64.b64encode(hmac.digest(base64.b64decode(secret), text, hashlib.sha256)).decode()
