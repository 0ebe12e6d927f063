"""What a page of the documentation may ask for in its first comment.

``<!-- test: NAME -->`` puts what the fixture ``page_NAME`` gives, a mapping of strings, into the environment of the
page's code. Fixtures of a session, so that pages share what is dear to start.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.servers.nats import NatsMissingError, nats_server

URL = re.compile(r"https?://\S+")


@pytest.fixture(scope="session")
def page_server(tmp_path_factory) -> Iterator[dict[str, str]]:
    """A throw-away server, as ``foedus serve`` makes it on its first start, and the token of its operator. It may reach
    what else a page starts.
    """
    data = tmp_path_factory.mktemp("server")
    command = [str(Path(sys.executable).with_name("foedus")), "serve", "--port", "0", "--data", str(data)]
    reach = {**os.environ, "FOEDUS_SOURCES_ALLOW": "127.0.0.1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=reach) as server:
        try:
            yield {"FOEDUS_URL": url_of(server), "FOEDUS_OPERATOR_TOKEN": operator_token(data)}
        finally:
            server.terminate()


@pytest.fixture(scope="session")
def page_broker(tmp_path_factory) -> Iterator[dict[str, str]]:
    """A NATS server with JetStream."""
    try:
        with nats_server(tmp_path_factory.mktemp("nats")) as broker:
            yield {"NATS_URL": broker.url}
    except NatsMissingError as exc:
        pytest.skip(str(exc))


def url_of(server: subprocess.Popen[str]) -> str:
    """The address in the one line that a server prints once it is ready."""
    for line in server.stdout:
        if found := URL.search(line):
            return found[0]
    pytest.fail(f"foedus serve ended with {server.wait()} before it was ready")


def operator_token(data: Path) -> str:
    """Where the first start leaves the token."""
    return (data / "operator-token").read_text("utf-8").strip()
