"""A function as the cloud runs it: AWS's runtime client in a process, and the runtime's API that feeds it events."""

import json
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

ARN = "arn:aws:lambda:eu-west-1:123456789012:function:fma"
PATIENCE_S = 60


class FunctionError(Exception):
    """What the function reported instead of an answer."""


@dataclass
class Function:
    """Invoked one event at a time, as each container is."""

    events: "queue.Queue[tuple[str, bytes] | None]" = field(default_factory=queue.Queue)
    answers: "queue.Queue[tuple[str, Any]]" = field(default_factory=queue.Queue)
    log: list[str] = field(default_factory=list)

    def invoke(self, event: Mapping[str, Any]) -> Any:
        self.events.put((uuid4().hex, json.dumps(event).encode()))
        kind, answer = self.answers.get(timeout=PATIENCE_S)
        if kind == "error":
            raise FunctionError(answer)
        return answer

    def lines(self, event: str) -> list[dict[str, Any]]:
        """What it logged under this name."""
        found = [json.loads(line) for line in self.log if line.startswith("{")]
        return [line for line in found if line.get("event") == event]


@contextmanager
def function(handler: str, environment: Mapping[str, str]) -> Iterator[Function]:
    """Runs ``handler``, such as ``package.module.name``, with nothing but ``environment`` around it."""
    state = Function()
    server = _Server(("127.0.0.1", 0), _api(state))
    serving = threading.Thread(target=server.serve_forever, args=(0.01,))
    serving.start()
    guard = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
    process = subprocess.Popen(
        [*guard, sys.executable, "-m", "awslambdaric", handler],
        env={**environment, "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{server.server_address[1]}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    reading = threading.Thread(target=lambda: state.log.extend(line.rstrip() for line in process.stdout))
    reading.start()
    try:
        yield state
    finally:
        process.kill()
        process.wait()
        reading.join()
        process.stdout.close()
        state.events.put(None)
        server.shutdown()
        serving.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Functions are killed while they wait for the next event."""


def _api(state: Function) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            event = state.events.get()
            if event is None:
                self.close_connection = True
                return
            headers = {
                "Lambda-Runtime-Aws-Request-Id": event[0],
                "Lambda-Runtime-Invoked-Function-Arn": ARN,
                "Lambda-Runtime-Deadline-Ms": "99999999999999",
            }
            self._answer(200, event[1], headers)

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"null")
            kind = "answer" if self.path.endswith("/response") else "error"
            state.answers.put((kind, body))
            self._answer(202, b"{}", {})

        def _answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
            lines = [f"HTTP/1.1 {status} OK", *(f"{name}: {value}" for name, value in headers.items())]
            lines += ["Content-Type: application/json", f"Content-Length: {len(body)}", "", ""]
            self.wfile.write("\r\n".join(lines).encode() + body)  # at once: the client looks at the first packet alone

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name is the base class's)
            pass

    return Handler
