"""Fixtures of real servers, for ``pytest_plugins = ["tests.servers.fixtures"]``.

Each server starts when it is first asked for, once a session; under xdist every worker has its own.
"""

from contextlib import ExitStack

import pytest
from tests.servers.nats import NatsMissingError, nats_server
from tests.servers.postgresql import PostgresqlMissingError, new_database, postgresql_server
from tests.servers.s3 import CREDENTIALS, MotoMissingError, s3_server


def started(stack, server, missing):
    """What ``server`` yields; skips when the program is not installed, and for no other reason."""
    try:
        return stack.enter_context(server)
    except missing as exc:
        pytest.skip(str(exc))


@pytest.fixture(scope="session")
def postgresql_url(tmp_path_factory):
    """The server's own database; tests want ``postgresql_database``."""
    with ExitStack() as stack:
        yield started(stack, postgresql_server(tmp_path_factory.mktemp("postgresql")), PostgresqlMissingError)


@pytest.fixture
def postgresql_database(postgresql_url):
    """A database for one test."""
    with new_database(postgresql_url) as url:
        yield url


@pytest.fixture(scope="session")
def nats_url(tmp_path_factory):
    with ExitStack() as stack:
        yield started(stack, nats_server(tmp_path_factory.mktemp("nats")), NatsMissingError).url


@pytest.fixture(scope="session")
def s3_endpoint():
    """Sets credentials in the environment for the whole session, which a server without accounts needs like any."""
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        yield started(stack, s3_server(), MotoMissingError)
