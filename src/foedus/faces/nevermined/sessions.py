"""The protocol of xain-fl 0.8 for the participants of one session, coordinator and aggregator at one address.

Participants of that time drop paths from addresses, so every session has a port of its own, and a small server of its
own behind it. They know no credentials; who runs them puts the session's token in front (``Authorization: Bearer``).
"""

import json
import re
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from foedus.core.bounded_servers import Bounded
from foedus.core.errors import Forbidden, Invalid, NotFound, PlatformError, TooLarge, Unauthenticated, Unavailable
from foedus.core.market.leading import shown_phase
from foedus.ports.compute import DOOR_HEADER
from foedus.services.market.conductor import Conductor
from foedus.services.market.leading import PROTOCOL
from foedus.services.market.session_tokens import BadSessionToken, agreement_behind

MAX_CONNECTIONS = 256
_PATIENCE_S = 60.0
_CHUNK_BYTES = 1 << 18
_ID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_TOKEN = r"[0-9a-f]{32}"  # noqa: S105 - the form of one
_BEAT = re.compile(r"/heartbeat/([^/?]{1,64})")  # of anybody: the kit takes part as "None" where it got no id
_START = re.compile(r"/start_training/([^/?]{1,64})")
_WEIGHTS = re.compile(rf"/({_ID})/({_TOKEN})")
_ADDRESS = re.compile(r"https?://[A-Za-z0-9.\-:\[\]]{1,300}")
_STATUS: Mapping[type[PlatformError], int] = {
    TooLarge: 413,
    Invalid: 400,
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    Unavailable: 503,
}


class _Server(Bounded, HTTPServer):
    block_on_close = False
    conductor: Conductor
    is_open: bool

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Connections break; whoever sent half a request comes again."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "foedus", ""
    timeout = _PATIENCE_S
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that the base class gave it
        """Rounds are logged, by who leads them; heartbeats are not."""

    def do_GET(self) -> None:
        self._answered(self._get)

    def do_POST(self) -> None:
        self._answered(self._post)

    def do_OPTIONS(self) -> None:
        """What browsers ask before they say anything to another origin."""
        self._head(HTTPStatus.NO_CONTENT, "", 0, allowed="Access-Control-Allow-Methods")

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """For what is no such request at all; other methods are not unknown to the world, only not known here."""
        if code == HTTPStatus.NOT_IMPLEMENTED:
            self._head(HTTPStatus.METHOD_NOT_ALLOWED, "", 0, allowed="Allow")
        else:
            super().send_error(code, message, explain)

    def _answered(self, handle: Any) -> None:
        try:
            handle()
        except PlatformError as exc:
            status = next((code for kind, code in _STATUS.items() if isinstance(exc, kind)), 409)
            self._say({"error": exc.code, "error_description": exc.message}, status)

    def _get(self) -> None:
        conductor, agreement = self.server.conductor, self._agreement()
        if self.path == "/status":
            self._say(status_of(conductor))
        elif self.path == "/rendez_vous":
            name = conductor.join(agreement)
            self._say({"id": name, "ok": name is not None})
        elif found := _BEAT.fullmatch(self.path):
            state, number = conductor.hear(agreement, found[1])
            self._say({"state": state, "round": number})
        elif found := _START.fullmatch(self.path):
            token = conductor.token_of(agreement, found[1])
            self._say({"ok": token is not None, "url": token and self._own_address(), "token": token})
        elif found := _WEIGHTS.fullmatch(self.path):
            size, chunks = conductor.weights(conductor.enter(agreement, found[1], found[2]))
            self._head(200, "application/octet-stream", size)
            for chunk in chunks:
                self.wfile.write(chunk)
        else:
            raise NotFound("there is no such address; /status says how the session stands")

    def _post(self) -> None:
        agreement = self._agreement()
        found = _WEIGHTS.fullmatch(self.path)
        if found is None:
            raise NotFound("results are handed in at /ID/TOKEN")
        said = self.server.conductor.hand_in(agreement, found[1], found[2], self._body())
        self._say({"result": said})

    def _agreement(self) -> str:
        """Under which agreement the caller takes part; nobody's, in a session that is open."""
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if not token and self.server.is_open:
            return ""
        if scheme.lower() != "bearer":
            raise BadSessionToken
        conductor = self.server.conductor
        return agreement_behind(conductor.ports, conductor.execution, conductor.rules.session, token.strip())

    def _body(self) -> Iterator[bytes]:
        size = self.headers.get("Content-Length", "")
        if not (size.isascii() and size.isdigit() and len(size) < 20) or "Transfer-Encoding" in self.headers:
            raise Invalid("a result has a Content-Length")
        left = int(size)
        if left > self.server.conductor.max_bytes:
            raise TooLarge(f"a result has at most {self.server.conductor.max_bytes} bytes here")
        while left:
            part = self.rfile.read(min(left, _CHUNK_BYTES))
            if not part:
                raise Invalid("the result was cut off")
            left -= len(part)
            yield part

    def _own_address(self) -> str:
        """As the participant knows it: behind a door that adds tokens, that door, which says so."""
        address = self.headers.get(DOOR_HEADER) or f"http://{self.headers.get('Host', '')}"
        if not _ADDRESS.fullmatch(address):
            raise Invalid("the request names no host")
        return address + "/"

    def _say(self, value: Any, status: int = 200) -> None:
        text = json.dumps(value).encode()
        self._head(status, "application/json", len(text))
        self.wfile.write(text)

    def _head(self, status: int, kind: str, size: int, *, allowed: str = "") -> None:
        self.send_response(status)
        if kind:
            self.send_header("Content-Type", kind)
        if status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(size))
        if allowed:
            self.send_header(allowed, "GET, POST, OPTIONS")
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Access-Control-Allow-Headers", "Authorization, Content-Type")
        self.send_header("Connection", "close")  # these participants open a new one for everything they say
        self.close_connection = True
        self.end_headers()


@contextmanager
def listening(conductor: Conductor, wanted: Sequence[int], *, host: str, is_open: bool) -> Iterator[int]:
    """Answer for ``conductor`` as long as the context lasts, at the first port of ``wanted`` that is free.

    ``is_open``: whether who shows no token may take part as well, where the session names no agreements. Raises
    Unavailable where none is free.
    """
    with _bound(host, wanted) as server:
        named = conductor.rules.session.allowed_agreements is not None
        server.conductor, server.is_open = conductor, is_open and not named
        server.places = threading.BoundedSemaphore(MAX_CONNECTIONS)
        threading.Thread(target=server.serve_forever, args=(0.1,), name="session", daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


def status_of(conductor: Conductor) -> dict[str, Any]:
    """How the session stands, in the words in which it is published."""
    state = conductor.state
    return {
        "protocol": PROTOCOL,
        "state": shown_phase(state),
        "round": state.round,
        "rounds": conductor.rules.session.rounds,
        "connected": state.connected,
        "selected": state.selected,
        "required": conductor.rules.required,
    }


def _bound(host: str, wanted: Sequence[int]) -> _Server:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    kind = type("_Bound", (_Server,), {"address_family": family})
    for port in wanted:
        try:
            server: _Server = kind((host.strip("[]"), port), _Handler)
        except OSError:
            continue
        return server
    raise Unavailable("none of the ports at which this session may be reached is free", ports=list(wanted)[:5])
