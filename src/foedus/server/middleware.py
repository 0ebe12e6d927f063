"""What the server adds to each request: Django's first, then those of the whole application, outside of any face."""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from http import HTTPStatus
from typing import Any

import structlog
from django.http import HttpRequest, HttpResponse
from django.http.request import split_domain_port, validate_host
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from foedus import bootstrap
from foedus.faces.native.errors import MEDIA_TYPE, UnknownHost
from foedus.faces.native.streaming.calls import answer_to
from foedus.server.metrics import durations

log = structlog.get_logger()

_DRAIN_BYTES = 64 << 20
_DRAIN_S = 5.0
_DRAIN_IDLE_S = 0.5
_MAX_ERROR_BYTES = 64 << 10
_PROBES = ("/healthz", "/readyz")
_MAX_HOST = 255  # of a name in the DNS with its port, and more than enough of them to remember
_FACES = (
    ("/foedus/v1", "native"),
    ("/symetry", "symetryml"),
    ("/api/v1/metadata", "nevermined"),
    ("/api/v1/market", "nevermined"),
    ("/api/v1/node", "nevermined"),
    ("/api/v1/gateway", "nevermined"),
    ("/api/v1/auth", "nevermined"),
    ("/api/v1/nevermined-compute-api", "nevermined"),
    ("/api/v1", "fma"),
    ("/api-token-auth", "fma"),
    ("/mediafiles", "fma"),
    ("/api", "flaas"),
    ("/admin", "admin"),
    ("/console", "console"),
    ("/static", "admin"),
)


class PortsMiddleware:
    """Hands the process's connectors to views, which know nothing of how they were made."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.ports = bootstrap.ports()  # type: ignore[attr-defined] # what views declare as NativeRequest
        return self._get_response(request)


class NoContentMiddleware:
    """Answers without a body do not say of what type it is."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        if response.status_code == HTTPStatus.NO_CONTENT and "Content-Type" in response:
            del response["Content-Type"]
        return response


class Summary:
    """One line in the log for each request; and an answer to what nobody caught."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    @cached_property
    def _log(self) -> Any:
        """Made by the first request, when it is known how to log; anew for each it would cost as much as an answer."""
        return log.bind()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        answer = _Answer()

        async def sent(message: Message) -> None:
            answer.note(message)
            await send(message)

        try:
            await self._app(scope, receive, sent)
        except Exception as exc:
            refusal = answer_to(exc, scope["path"])
            if answer.status is not None:
                raise  # the server ends the connection, so that nobody takes half an answer for a whole one
            await refusal(scope, receive, sent)
        finally:
            _log_summary(self._log, scope, answer, round((time.perf_counter() - began) * 1000, 1))


class _Answer:
    """What is worth knowing about an answer that passes by."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.error: str | None = None
        self._is_problem = False

    def note(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._is_problem = (b"content-type", MEDIA_TYPE.encode()) in message["headers"]
        elif self._is_problem:
            self._is_problem = False
            body = message.get("body", b"")
            if (len(body) <= _MAX_ERROR_BYTES and not message.get("more_body")) or body.endswith(b"}"):
                self.error = json.loads(body)["code"]


def _log_summary(log: Any, scope: Scope, answer: _Answer, milliseconds: float) -> None:
    path: str = scope["path"]
    status = answer.status or 499  # nobody was there any more to be answered
    face = next((face for prefix, face in _FACES if path.startswith(prefix)), "server")
    durations.note(face, scope["method"], status, milliseconds / 1000)
    write = log.debug if path in (*_PROBES, "/metrics") and status == 200 else log.info
    write(
        "request.answered",
        face=face,
        method=scope["method"],
        path=path[:200],
        status=status,
        error=answer.error,
        milliseconds=milliseconds,
    )


class Draining:
    """Keeps what is left of a refused body from being taken for the next request.

    A little of it is read and forgotten, so that the answer reaches who is still sending; if that was not all, the
    connection ends with the answer.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["http_version"].startswith("2") or not sends_body(scope):
            await self._app(scope, receive, send)
            return
        body = _Incoming(receive, expects=bool(header(scope, b"expect")))

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start" and not await body.drained():
                message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
            await send(message)

        await self._app(scope, body.receive, sent)


class _Incoming:
    """A body on its way. ``expects``: the client sends it only once somebody reads."""

    def __init__(self, receive: Receive, *, expects: bool) -> None:
        self._receive = receive
        self._expects = expects
        self._is_whole = False
        self._is_pending = False  # and stays so when somebody gave up waiting

    async def receive(self) -> Message:
        self._expects = False
        self._is_pending = True
        message = await self._receive()
        self._is_pending = False
        self._is_whole = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    async def drained(self) -> bool:
        """Whether nothing is left of it."""
        left = _DRAIN_BYTES
        try:
            async with asyncio.timeout(_DRAIN_S):
                while not (self._is_whole or self._is_pending or self._expects) and left > 0:
                    async with asyncio.timeout(_DRAIN_IDLE_S):  # who sends nothing reads already
                        left -= len((await self.receive()).get("body", b""))
        except TimeoutError:
            return False
        return self._is_whole


class HostCheck:
    """Answers under the server's own names only, whatever the route, so that no web page gets in by another."""

    def __init__(self, app: ASGIApp, hosts: Sequence[str]) -> None:
        self._app = app
        self._hosts = list(hosts)
        self._is_ours = lru_cache(maxsize=256)(self._has)  # clients say the same name again and again

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = header(scope, b"host") if scope["type"] == "http" else ""
        # Whoever probes a process calls it by its address, and learns nothing but that it lives.
        if scope["type"] != "http" or scope["path"] in _PROBES or (len(host) <= _MAX_HOST and self._is_ours(host)):
            await self._app(scope, receive, send)
            return
        exc = UnknownHost(
            f"this server does not answer to the name {host[:100]!r}; add it to FOEDUS_ALLOWED_HOSTS if it is right"
        )
        await answer_to(exc, scope["path"])(scope, receive, send)

    def _has(self, host: str) -> bool:
        if not host:
            return "*" in self._hosts
        name, _ = split_domain_port(host)
        return bool(name) and validate_host(name, self._hosts)


def header(scope: Scope, name: bytes) -> str:
    """The header's values, joined by commas; empty when there is none."""
    headers: Sequence[tuple[Any, Any]] = scope["headers"]
    return ",".join(bytes(value).decode("latin-1") for key, value in headers if key == name)


def sends_body(scope: Scope) -> bool:
    """Whether anything may follow the headers. Only HTTP/1 says so in them."""
    length = header(scope, b"content-length")
    if scope["http_version"].startswith("2") and not length:
        return True
    return bool(header(scope, b"transfer-encoding")) or length not in ("", "0")
