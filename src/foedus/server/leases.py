"""Leases that are kept for as long as the work under them takes."""

import contextlib
import threading
from collections.abc import Callable, Iterator

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, close_old_connections

log = structlog.get_logger()

RENEW_EVERY_S = 2.0  # a third of a lease


@contextlib.contextmanager
def renewing(renew: Callable[[], bool]) -> Iterator[None]:
    """Keep a lease while the block runs, from a thread of its own."""
    done = threading.Event()

    def keep() -> None:
        while not done.wait(RENEW_EVERY_S):
            try:
                renew()
            except (OperationalError, InterfaceError) as exc:
                log.warning("lease.not_renewed", error=str(exc))
                if settings.configured:  # a connection that broke once stays so: the next try has a new one
                    close_old_connections()
        if settings.configured:  # whoever keeps leases elsewhere may have no database at all
            close_old_connections()

    thread = threading.Thread(target=keep, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
