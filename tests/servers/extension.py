"""The HTTP side of AWS's extension that keeps secrets beside a function: enough of it to tell who asks rightly."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


@contextmanager
def secrets_extension(secrets: Mapping[str, str], token: str) -> Iterator[int]:
    """Yields its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            where = urlsplit(self.path)
            name = parse_qs(where.query).get("secretId", [""])[0]
            if where.path != "/secretsmanager/get" or self.headers["X-Aws-Parameters-Secrets-Token"] != token:
                self._answer(401, b"not authorized")
            elif name not in secrets:
                self._answer(400, b"an unexpected error occurred while executing request: ResourceNotFoundException")
            else:
                self._answer(200, json.dumps({"Name": name, "SecretString": secrets[name]}).encode())

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name is the base class's)
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
