"""Whose turn it is to write: one writer at a time, among all threads of all processes that use a database file.

Threads of a process wait for each other in memory, and the first of them for a lock on a file, which the system gives
to the next process the moment it is free, and takes from those that die. Nobody waits for ever: a process that was
stopped keeps its lock, and the others have to say so. The system knows no wait for a file's lock that ends after a
while, so that a thread of its own does the waiting, where there is any.
"""

import fcntl
import os
import threading
import time
from functools import cache


class Turns:
    """The turns of this process at one file. Taken and given up in pairs, by whatever thread."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._here = threading.Lock()  # one thread of this process after the other
        self._file: int | None = None
        self._state = threading.Lock()  # of the three below
        self._waits = False  # a thread is waiting for the file's lock
        self._wanted = False  # somebody still wants what it waits for
        self._came = threading.Event()

    def take(self, timeout_s: float) -> bool:
        """Whether the turn came within that time."""
        ends_at = time.monotonic() + timeout_s
        if not self._here.acquire(timeout=timeout_s):
            return False
        if self._at_once() or self._in_time(ends_at):
            return True
        self._here.release()
        return False

    def give_up(self) -> None:
        """Let the next one in."""
        fcntl.flock(self._opened(), fcntl.LOCK_UN)
        self._here.release()

    def _at_once(self) -> bool:
        with self._state:
            if self._waits:  # for one that is gone by now: it must not let go of what is taken here
                self._wanted = True
                return False
            try:
                fcntl.flock(self._opened(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._came.clear()
                self._waits = self._wanted = True
                threading.Thread(target=self._wait, name="turn", daemon=True).start()
                return False
        return True

    def _in_time(self, ends_at: float) -> bool:
        if self._came.wait(max(0.0, ends_at - time.monotonic())):
            return True
        with self._state:
            self._wanted = False
            return not self._waits  # it came just now

    def _wait(self) -> None:
        fcntl.flock(self._opened(), fcntl.LOCK_EX)
        with self._state:
            self._waits = False
            if self._wanted:
                self._came.set()
            else:
                fcntl.flock(self._opened(), fcntl.LOCK_UN)

    def _opened(self) -> int:
        if self._file is None:
            self._file = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        return self._file

    def _forget(self) -> None:
        """In a child: the parent's turn is not its own, and what is open here would keep it beyond the parent's end."""
        if self._file is not None:
            os.close(self._file)
        self.__init__(self._path)  # type: ignore[misc]  # as new


@cache
def turns_at(path: str) -> Turns:
    """The one of this process for that file."""
    turns = Turns(path)
    os.register_at_fork(after_in_child=turns._forget)  # noqa: SLF001 - its own
    return turns
