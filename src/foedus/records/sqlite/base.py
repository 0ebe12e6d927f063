"""SQLite, whose writers stand in a queue. Django finds the class by the module's name.

SQLite has one writer at a time, and lets the others sleep ever longer, up to a tenth of a second, before they look
again. With dozens of participants that hand in at once, most of a round was such sleep, and whoever came last could
be first. Here writers wait for a lock on a file beside the database, which the system gives to the next of them, in
whatever process, the moment it is free; and takes from those that die. SQLite's own lock still decides: a program
that knows nothing of the queue is waited for as before.
"""

import fcntl
import os
from typing import Any

from django.db.backends.sqlite3 import base


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection. Transactions take their turn before they begin, and give it up once they are over."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._queue: int | None = None

    def _start_transaction_under_autocommit(self) -> None:
        self._take_turn()
        try:
            super()._start_transaction_under_autocommit()  # type: ignore[misc]
        except BaseException:
            self._give_up_turn()
            raise

    def _commit(self) -> None:
        super()._commit()  # type: ignore[misc]  # django-stubs leaves these out; when it fails, a rollback follows
        self._give_up_turn()

    def _rollback(self) -> None:
        try:
            super()._rollback()  # type: ignore[misc]
        finally:
            self._give_up_turn()

    def _close(self) -> None:
        try:
            super()._close()  # type: ignore[misc]
        finally:
            if self._queue is not None:
                os.close(self._queue)  # and with it the turn
                self._queue = None

    def _take_turn(self) -> None:
        if self.is_in_memory_db():
            return
        if self._queue is None:
            self._queue = os.open(f"{self.settings_dict['NAME']}-queue", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._queue, fcntl.LOCK_EX)

    def _give_up_turn(self) -> None:
        if self._queue is not None:
            fcntl.flock(self._queue, fcntl.LOCK_UN)
