"""What every test may use. Sockets are only for tests of connectors and of whole processes."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.db import connection, connections
from hypothesis import HealthCheck, settings
from pytest_socket import disable_socket, enable_socket
from tests import emptying

from foedus.connectors.blobs.memory import MemoryBlobs
from foedus.connectors.bus.memory import MemoryBus
from foedus.connectors.push.memory import MemoryPush
from foedus.connectors.secrets.memory import MemorySecrets
from foedus.ports import Ports

pytest_plugins = ["tests.servers.fixtures"]

# How fast examples come depends on what else the machine does; what they show does not.
settings.register_profile("thorough", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=100)
# Others every time; `make test-all` takes the profile above.
settings.register_profile("foedus", settings.get_profile("thorough"), max_examples=40)
settings.load_profile("foedus")
emptying.use_it()

TESTS = Path(__file__).parent
WITH_SOCKETS = tuple(TESTS / name for name in ("chaos", "connectors", "e2e", "docs", "examples", "sdk"))


def pytest_runtest_setup(item):
    if connection.vendor == "postgresql" or any(item.path.is_relative_to(folder) for folder in WITH_SOCKETS):
        enable_socket()
    else:
        disable_socket(allow_unix_socket=True)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    """Tables that were made as they are today (see the settings) have every migration behind them."""
    with django_db_blocker.unblock():
        emptying.note_migrations()


class Time:
    """A clock that moves when told to."""

    def __init__(self):
        self.now = datetime(2026, 1, 1, 12, tzinfo=UTC)

    def __call__(self):
        return self.now

    def passes(self, seconds):
        self.now += timedelta(seconds=seconds)
        return self.now


@pytest.fixture
def clock():
    return Time()


@pytest.fixture
def ports(tmp_path):
    """Memory twins of every port."""
    bus = MemoryBus()
    yield Ports(blobs=MemoryBlobs(), bus=bus, push=MemoryPush(), secrets=MemorySecrets(), scratch=tmp_path)
    bus.close()


@pytest.fixture
def in_threads():
    """Calls functions at the same moment, each in a thread with its own connection; their results or errors."""

    def run(*calls):
        start = threading.Barrier(len(calls))
        results = [None] * len(calls)

        def work(index, call):
            start.wait()
            try:
                results[index] = call()
            except Exception as exc:  # noqa: BLE001 - handed to the test
                results[index] = exc
            finally:
                connections.close_all()

        threads = [threading.Thread(target=work, args=item) for item in enumerate(calls)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results

    return run
