"""Services for tests of whole processes. Each module has its own; its tests share it and may kill its parts."""

from itertools import count

import pytest
from tests.e2e.driver import Api
from tests.e2e.gate import Gate
from tests.e2e.service import Serve

_numbers = count(1)


@pytest.fixture(scope="module")
def gate(tmp_path_factory):
    return Gate(tmp_path_factory.mktemp("gate"))


@pytest.fixture(scope="module")
def service(tmp_path_factory, gate):
    with Serve(tmp_path_factory.mktemp("service") / "data", **gate.environment) as running:
        yield running


@pytest.fixture
def key():
    """A project's key that no other test uses."""
    return f"study-{next(_numbers)}"


@pytest.fixture(autouse=True)
def _connections():
    """Whatever a test has opened is closed after it."""
    yield
    Api.close_all()
