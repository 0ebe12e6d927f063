"""Leases that are kept for as long as the work under them takes.

Most work is over long before its lease has to be renewed. One watch for the whole process looks now and then, and has a
thread begin for each that takes longer: so that a renewal that waits for the database lets no other lease run out.
"""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from time import monotonic

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, close_old_connections

log = structlog.get_logger()

RENEW_EVERY_S = 2.0  # a third of a lease
_LOOKS = 4  # of the watch, in that time


@contextlib.contextmanager
def renewing(renew: Callable[[], bool]) -> Iterator[None]:
    """Keep a lease that was just given or renewed while the block runs, if need be from a thread of its own."""
    kept = _Kept(renew)
    try:
        _watch.add(kept)
        yield
    finally:
        _watch.remove(kept)
        kept.end()


class _Kept:
    """One lease. It is renewed from the moment that ``begin`` says so."""

    def __init__(self, renew: Callable[[], bool]) -> None:
        self._renew = renew
        self._done = threading.Event()
        self._thread: threading.Thread | None = None
        self.since = monotonic()

    def begin(self) -> bool:
        """Whether it begins. In the watch's turn only: ``end`` comes after it has let go of this lease."""
        self._thread = _started(self._keep, "lease")
        return self._thread is not None

    def end(self) -> None:
        self._done.set()
        if self._thread is not None:
            self._thread.join()

    def _keep(self) -> None:
        while True:
            try:
                self._renew()
            except (OperationalError, InterfaceError) as exc:
                log.warning("lease.not_renewed", error=str(exc))
                if settings.configured:  # a connection that broke once stays so: the next try has a new one
                    close_old_connections()
            if self._done.wait(RENEW_EVERY_S):
                break
        if settings.configured:  # whoever keeps leases elsewhere may have no database at all
            close_old_connections()


def _started(target: Callable[[], None], name: str) -> threading.Thread | None:
    """A thread; None where the system gives none just now, for whoever asks again."""
    thread = threading.Thread(target=target, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError as exc:
        log.warning("lease.no_thread", error=str(exc))
        return None
    return thread


class _Watch:
    """The leases that nobody renews yet. It wakes by itself, never for a new one: that would hand over the interpreter.

    Its thread begins with a lease, and ends once it has found none.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """As new. In a child none of the parent's threads is there, nor the work that they were for."""
        self._lock = threading.Lock()
        self._young: set[_Kept] = set()
        self._thread: threading.Thread | None = None

    def add(self, kept: _Kept) -> None:
        with self._lock:
            self._young.add(kept)
            if self._thread is None:
                self._thread = _started(self._look, "leases")

    def remove(self, kept: _Kept) -> None:
        with self._lock:
            self._young.discard(kept)

    def _look(self) -> None:
        pause_s = RENEW_EVERY_S / _LOOKS
        pause = threading.Event()
        while True:
            pause.wait(pause_s)
            with self._lock:
                if not self._young:
                    self._thread = None
                    return
                old = [kept for kept in self._young if monotonic() - kept.since > RENEW_EVERY_S - pause_s]
                self._young.difference_update([kept for kept in old if kept.begin()])


_watch = _Watch()
os.register_at_fork(after_in_child=_watch.forget)
