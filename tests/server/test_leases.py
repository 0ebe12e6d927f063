"""Leases are kept through whatever a database does in between."""

import threading

import pytest
from django.db import InterfaceError, OperationalError

from foedus.server import leases


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_a_connection_that_broke_is_replaced_and_the_lease_kept(monkeypatch, error):
    kept, closed, tries = threading.Event(), [], []
    monkeypatch.setattr(leases, "RENEW_EVERY_S", 0.01)
    monkeypatch.setattr(leases, "close_old_connections", lambda: closed.append(len(tries)))

    def renew():
        tries.append(1)
        if len(tries) == 1:
            raise error("the connection is closed")
        kept.set()
        return True

    with leases.renewing(renew):
        assert kept.wait(10)

    assert closed[0] == 1
