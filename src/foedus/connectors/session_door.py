"""The door between a program and its session: a small HTTP proxy, outside of what the program is shut in.

It knows one address. What a program sends goes there, whatever host it names, with the session's token added; the
program itself never holds the token, and reaches nothing else. Who bought the run names that address, so the
operator's guard is asked before every connection. Programs around old kits try nothing twice: the door does.

Beside a container it is a container of its own: ``python -m foedus.connectors.session_door FILE HOST PORT``, where
FILE is the session as ``run_sessions`` writes it down. It says so in a line once it is open.
"""

import json
import signal
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from foedus.connectors.internet import Guard, literal
from foedus.connectors.run_sessions import address_of, session_in
from foedus.core.bounded_servers import Bounded
from foedus.core.errors import PlatformError
from foedus.ports.compute import DOOR_HEADER, Session

MAX_CONNECTIONS = 64  # of the one program
_MAX_BODY_BYTES = 16 << 30
_CHUNK_BYTES = 1 << 18
_AWAIT_S = 30.0
_AGAIN_S = 0.25
OPEN = "the door is open"
_PATIENCE = httpx.Timeout(60.0, connect=10.0)
_OF_ONE_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "proxy-connection", "host"}
_OURS = {DOOR_HEADER.lower(), "authorization", "proxy-authorization", "cookie", "content-length", "expect"}


class _Server(Bounded, socketserver.BaseServer):
    client: httpx.Client
    session: Session
    guard: Guard

    def sent(
        self, method: str, path: str, headers: Mapping[str, str], body: Callable[[], Iterator[bytes]]
    ) -> httpx.Response:
        """The answer, whose body is still to come; waits a while for a session that is not there yet, or just gone.

        Nothing of the body is read before there is a connection. Raises what httpx does, and the guard.
        """
        url, (host, port) = urlsplit(self.session.url), address_of(self.session)
        until = time.monotonic() + _AWAIT_S
        while True:
            for address in self.guard.checked(host, port):
                there = url._replace(netloc=f"{literal(address)}:{port}", path=path).geturl()
                request = self.client.build_request(
                    method, there, headers={**headers, "Host": url.netloc}, content=body(),
                    extensions={"sni_hostname": host},
                )  # fmt: skip
                answer = self._tried(request, last=time.monotonic() > until)
                if answer is not None:
                    return answer
            time.sleep(_AGAIN_S)

    def _tried(self, request: httpx.Request, *, last: bool) -> httpx.Response | None:
        """None where it is worth trying again: nothing got there, or what had no answer may be asked twice."""
        asks = request.method == "GET"
        try:
            answer = self.client.send(request, stream=True)
        except httpx.TransportError as exc:
            if last or not (asks or isinstance(exc, httpx.ConnectError | httpx.ConnectTimeout)):
                raise
            return None
        if asks and answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE and not last:
            answer.close()
            return None
        return answer


class _UnixServer(_Server, socketserver.UnixStreamServer):
    """Where files reach further than networks."""


class _TcpServer(_Server, socketserver.TCPServer):
    allow_reuse_address = True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def address_string(self) -> str:  # a Unix socket has no address
        return "program"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that the base class gave it
        """Requests are the session's to log."""

    def _forward(self) -> None:
        if not self.path.startswith("/") or self.path.startswith("//"):
            return self._refuse(400, "a path is wanted: this door leads to one address")
        size = self.headers.get("Content-Length", "0")
        if not (size.isascii() and size.isdigit() and int(size) <= _MAX_BODY_BYTES) or self._has_no_length():
            return self._refuse(411, "a body has a Content-Length")
        headers = {k: v for k, v in self.headers.items() if k.lower() not in _OF_ONE_HOP | _OURS}
        headers["Authorization"] = f"Bearer {self.server.session.token.reveal()}"
        headers["Content-Length"] = size
        headers[DOOR_HEADER] = f"http://{self.headers.get('Host', '')}"
        try:
            answer = self.server.sent(self.command, self.path, headers, lambda: self._body(int(size)))
        except httpx.HTTPError as exc:
            return self._refuse(502, f"the session does not answer: {type(exc).__name__}")
        except PlatformError as exc:
            return self._refuse(502, exc.message)
        try:
            self._answer(answer)
        finally:
            answer.close()
        return None

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _forward  # noqa: N815 - the names that the base class looks for

    def _has_no_length(self) -> bool:
        return "Transfer-Encoding" in self.headers

    def _body(self, left: int) -> Iterator[bytes]:
        while left:
            part = self.rfile.read(min(left, _CHUNK_BYTES))
            if not part:
                raise httpx.ReadError("the program stopped sending")
            left -= len(part)
            yield part

    def _answer(self, answer: httpx.Response) -> None:
        self.send_response(answer.status_code)
        for name, value in answer.headers.multi_items():
            if name.lower() not in _OF_ONE_HOP | {"content-length", "date", "server"}:
                self.send_header(name, value)
        size = answer.headers.get("content-length")
        if size is None:
            self.send_header("Connection", "close")
            self.close_connection = True
        else:
            self.send_header("Content-Length", size)
        self.end_headers()
        for part in answer.iter_raw(_CHUNK_BYTES):
            self.wfile.write(part)

    def _refuse(self, status: int, why: str) -> None:
        text = why.encode()
        self.close_connection = True
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(text)


@contextmanager
def open_door(session: Session, path: Path, guard: Guard) -> Iterator[None]:
    """Serve the door at the Unix socket ``path`` as long as the context lasts."""
    with _serving(_UnixServer(str(path), _Handler), session, guard):
        yield


@contextmanager
def _serving(server: _Server, session: Session, guard: Guard) -> Iterator[None]:
    with httpx.Client(timeout=_PATIENCE, follow_redirects=False, trust_env=False) as client, server:
        server.client, server.session, server.guard = client, session, guard
        server.places = threading.BoundedSemaphore(MAX_CONNECTIONS)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()


def main(file: Path, host: str, port: int) -> None:
    """Serve until SIGTERM, at an address, or at that which this machine has in a network (``10.1.0.0/16``)."""
    if "/" in host:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as towards:
            towards.connect((str(ip_network(host)[1]), port))  # sends nothing
            host = towards.getsockname()[0]
    session, guard = session_in(json.loads(file.read_bytes()))
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    with _serving(_TcpServer((host, port), _Handler), session, guard):
        sys.stdout.write(f"{OPEN}\n")
        sys.stdout.flush()
        ended.wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
