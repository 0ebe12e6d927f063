"""A server for tests: its own process, its own data folder, asked over HTTP like any other."""

import sys
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from tests.servers.processes import ServerProcess


@dataclass(frozen=True)
class Server:
    url: str
    operator_token: str = field(repr=False)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    data: Path = tmp_path_factory.mktemp("server")
    command = [sys.executable, "-m", "foedus", "serve", "--port", "0", "--data", str(data)]
    process = ServerProcess(command, ready="serves at")
    try:
        url = next(word for word in process.ready_line.split() if word.startswith("http"))
        with httpx.Client(transport=httpx.HTTPTransport(retries=8)) as client:  # its line may come before it listens
            client.get(f"{url}/healthz").raise_for_status()
        yield Server(url, (data / "operator-token").read_text("utf-8").strip())
    finally:
        process.terminate()
