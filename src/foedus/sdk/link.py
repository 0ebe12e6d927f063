"""One client's connection to one server: bearer token, bounded answers, refusals as errors, no redirects."""

import base64
import functools
import json
import logging
import socket
import ssl
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any, Self
from urllib.parse import quote
from weakref import WeakSet

import httpx

from foedus.core.codecs import strict_json
from foedus.core.errors import Invalid, Unavailable
from foedus.sdk.problems import BadAnswer, error_for

PREFIX = "/foedus/v1"
SAFETENSORS = "application/vnd.safetensors"
MAX_ANSWER_BYTES = 32 << 20
MAX_PROBLEM_BYTES = 64 << 10
ANSWER_S = 60.0
Content = bytes | memoryview | Iterable[bytes]

log = logging.getLogger("foedus.sdk")


class Link:
    """Calls below ``prefix`` of ``url``. Safe to use from several threads.

    Raises: the errors of ``foedus.core.errors`` by the code of a refusal; Unavailable when nobody answers.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        transport: httpx.BaseTransport | None = None,
        tls: ssl.SSLContext | None = None,
        prefix: str = PREFIX,
    ) -> None:
        self.url = checked_url(url)
        self._token = token
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self._lock = threading.Lock()
        self._interrupted = False
        self._client = httpx.Client(
            base_url=self.url + prefix,
            transport=transport,
            verify=tls or _default_tls(),
            follow_redirects=False,
            headers={"User-Agent": "foedus-sdk", "Accept-Encoding": "identity"},
            timeout=httpx.Timeout(ANSWER_S, connect=10.0),
        )

    def authenticate(self, token: str) -> None:
        """Ask as the owner of ``token`` from now on. Space around it, such as a file's last newline, is not of it."""
        token = token.strip()
        if not token.isascii() or not token.isprintable() or not token or " " in token:
            raise Invalid("a token is one word of ASCII characters; this one has been damaged")
        self._token = token

    def json(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        content: Content | None = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        answer_s: float = ANSWER_S,
    ) -> Any:
        """The decoded answer of a call; None when it has no content."""
        headers = dict(headers or {})
        if body is not None:
            content = json.dumps(body, allow_nan=False, separators=(",", ":")).encode()
            headers["Content-Type"] = "application/json"
        with self.stream(method, path, content=content, params=params, headers=headers, answer_s=answer_s) as response:
            if response.status_code == 204:
                return None
            data = _bounded(response, MAX_ANSWER_BYTES)
        return _decoded(response, data)

    @contextmanager
    def stream(
        self,
        method: str,
        path: str,
        *,
        content: Content | None = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        answer_s: float = ANSWER_S,
    ) -> Iterator[httpx.Response]:
        """An answer whose body is still to be read. What goes wrong while it is read becomes Unavailable, too."""
        headers = dict(headers or {})
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        timeout = httpx.Timeout(ANSWER_S, connect=10.0, read=answer_s)
        with self._translated():
            request = self._client.build_request(
                method,
                path,
                content=bytes(content) if isinstance(content, memoryview) else content,
                params=params,
                headers=headers,
                timeout=timeout,
                extensions={"trace": self._trace},
            )
            response = self._client.send(request, stream=True)
            try:
                if not response.is_success:
                    body = _bounded(response, MAX_PROBLEM_BYTES, cut=True)
                    raise error_for(response.status_code, response.headers, body)
                yield response
            finally:
                response.close()

    def interrupt(self) -> None:
        """Break off whatever this link is waiting for, now and from now on."""
        with self._lock:
            self._interrupted = True
            for connection in self._sockets:
                _shut(connection)

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except httpx.TransportError as exc:
            raise Unavailable(f"{self.url} cannot be reached ({type(exc).__name__}: {exc})") from exc
        except httpx.DecodingError as exc:
            raise BadAnswer(f"The answer of {self.url} cannot be unfolded ({exc})") from exc

    def _trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Remember open sockets: a thread that waits for one can be woken only by shutting it down."""
        if event not in ("connection.connect_tcp.complete", "connection.connect_unix_socket.complete"):
            return
        connection = info["return_value"].get_extra_info("socket")
        with self._lock:
            self._sockets.add(connection)
            if self._interrupted:
                _shut(connection)


def path(*segments: object) -> str:
    """A path below the prefix; what came from elsewhere cannot add segments to it."""
    quoted = [quote(str(segment), safe="") for segment in segments]
    if any(segment in ("", ".", "..") for segment in quoted):
        raise Invalid("an empty or dotted name cannot be part of an address", names=[str(s)[:80] for s in segments])
    return "/" + "/".join(quoted)


def checked_url(url: str) -> str:
    """``url`` without a slash at its end or the prefix of the API, if it is one that can be asked."""
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError) as exc:
        raise Invalid(f"{url!r} is not a URL") from exc
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise Invalid(f"{url!r} is not the URL of a server: it looks like https://host or http://127.0.0.1:8080")
    if parsed.userinfo or parsed.query or parsed.fragment:
        raise Invalid("the url of a server has no user, query or fragment in it; a token is given as token=")
    if parsed.scheme == "http" and not _is_local(parsed.host):
        log.warning("the token travels unencrypted to %s: use https", parsed.host)
    return str(parsed).rstrip("/").removesuffix(PREFIX).rstrip("/")


def content_digest(digest: str) -> str:
    """The ``Content-Digest`` header of a SHA-256 in hexadecimal (RFC 9530)."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(digest)).decode()}:"


@functools.cache
def _default_tls() -> ssl.SSLContext:
    return httpx.create_ssl_context()


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _bounded(response: httpx.Response, limit: int, *, cut: bool = False) -> bytes:
    """The body, up to ``limit`` bytes: beyond it is cut off, or refused."""
    data = bytearray()
    for piece in response.iter_bytes():
        data += piece
        if len(data) > limit:
            if cut:
                break
            raise BadAnswer(f"The answer is longer than {limit} bytes, which no call of the API should give")
    return bytes(data[:limit])


def _decoded(response: httpx.Response, data: bytes) -> Any:
    form = response.headers.get("content-type", "")
    if "json" not in form:
        raise BadAnswer(
            f"{response.request.url.path} answered with {form[:80] or 'nothing'} instead of JSON: "
            "is the url right, and is there a proxy in between?"
        )
    try:
        return strict_json.parse(data, max_depth=64)
    except Invalid as exc:
        raise BadAnswer(f"{response.request.url.path} answered with broken JSON: {exc.message}") from exc


def _shut(connection: socket.socket) -> None:
    try:
        # Not the method of an SSLSocket, which would take its state from under the thread that reads.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
    except OSError:
        log.debug("a connection was closed already")
