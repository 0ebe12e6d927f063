"""Pushes by a server's webhook: they arrive the moment they are sent."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

import structlog

from foedus.core.errors import Invalid, Unauthenticated
from foedus.core.signatures import verify_signature
from foedus.simulation.flaas.push import Deliver, Inbox

MAX_MESSAGE_BYTES = 16 << 20

log = structlog.get_logger()


class Webhook:
    """A receiver on this machine for a server's ``webhook:``; takes only what is signed with ``secret``."""

    def __init__(self, secret: str, deliver: Deliver, clock: Callable[[], float]) -> None:
        inbox = Inbox(deliver)

        class Handler(_Handler):
            def taken(self, body: bytes) -> int:
                try:
                    verify_signature(secret, self.headers.get("Foedus-Signature", ""), body, clock())
                    inbox.take(body)
                except Unauthenticated:
                    return 401
                except Invalid as exc:
                    log.warning("webhook.unreadable", error=str(exc))
                    return 400
                return 200

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="webhook", daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/push"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60.0

    def taken(self, body: bytes) -> int:
        raise NotImplementedError

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > MAX_MESSAGE_BYTES:
            status, self.close_connection = 413, True
        else:
            status = self.taken(self.rfile.read(int(length)))
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Deliveries are not worth a line each."""
