"""An S3 server: moto over HTTP, in a process of its own so that its memory is not ours."""

import importlib.util
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.servers.processes import ServerProcess

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class MotoMissingError(LookupError):
    """There is no moto; install moto[server]."""


@contextmanager
def s3_server() -> Iterator[str]:
    """Yields the endpoint. Any credentials do; ``CREDENTIALS`` are some for the environment."""
    if importlib.util.find_spec("moto") is None or importlib.util.find_spec("flask") is None:
        raise MotoMissingError(MotoMissingError.__doc__)
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    process = ServerProcess(command, ready="Running on http")
    try:
        yield re.search(r"http://[\d.]+:\d+", process.ready_line)[0]
    finally:
        process.terminate()
