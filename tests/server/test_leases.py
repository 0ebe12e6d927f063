"""Leases are kept through whatever a database does in between, and cost nothing where they need not be kept."""

import threading
import time
from contextlib import ExitStack
from types import SimpleNamespace

import pytest
from django.db import InterfaceError, OperationalError

from foedus.server import leases


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr(leases, "RENEW_EVERY_S", 0.04)
    monkeypatch.setattr(leases, "_watch", leases._Watch())  # another test's may look every two seconds


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_a_connection_that_broke_is_replaced_and_the_lease_kept(monkeypatch, error):
    kept, closed, tries = threading.Event(), [], []
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


def test_a_renewal_that_hangs_lets_no_other_lease_run_out():
    go_on, others = threading.Event(), [threading.Semaphore(0) for _ in range(3)]

    def hang():
        go_on.wait(10)
        return True

    with leases.renewing(hang), contexts(others):
        assert all(other.acquire(timeout=10) for other in others for _ in range(3))
        go_on.set()


def test_short_work_has_no_thread_of_its_own_and_nothing_is_renewed_after_it():
    begun, renewed = set(), []

    for _ in range(200):
        with leases.renewing(lambda: renewed.append(1) or True):
            begun |= {thread for thread in threading.enumerate() if thread.name.startswith("lease")}

    assert len(begun) < 20  # a watch, and who was kept waiting by the machine
    wait_for(lambda: not any(thread.name.startswith("lease") for thread in threading.enumerate()))
    before = len(renewed)
    time.sleep(0.2)
    assert len(renewed) == before


def test_a_lease_that_is_kept_ends_with_its_work():
    renewed = threading.Semaphore(0)

    with leases.renewing(lambda: renewed.release() or True):
        assert renewed.acquire(timeout=10)

    while renewed.acquire(blocking=False):
        pass
    assert not renewed.acquire(timeout=0.3)


def test_a_lease_that_got_no_thread_is_kept_from_the_next_one(monkeypatch):
    renewed, refused = threading.Semaphore(0), []
    monkeypatch.setattr(leases, "log", SimpleNamespace(warning=lambda event, **_: refused.append(event)))
    before = threading.stack_size(1 << 60)  # for which the system has no room
    try:
        with leases.renewing(lambda: True):  # no watch
            assert refused == ["lease.no_thread"]
            threading.stack_size(before)
            with leases.renewing(lambda: renewed.release() or True):
                threading.stack_size(1 << 60)
                until = time.monotonic() + 10
                while len(refused) < 3 and time.monotonic() < until:
                    time.sleep(0.01)
                threading.stack_size(before)
                assert renewed.acquire(timeout=10)
    finally:
        threading.stack_size(before)


def contexts(semaphores):
    stack = ExitStack()
    for each in semaphores:
        stack.enter_context(leases.renewing(lambda each=each: each.release() or True))
    return stack


def wait_for(holds):
    until = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)
