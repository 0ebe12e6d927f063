"""SQLite, whose writers stand in a queue. Django finds the class by the module's name.

SQLite has one writer at a time, and lets the others sleep ever longer, up to a tenth of a second, before they look
again. With dozens of participants that hand in at once, most of a round was such sleep, and whoever came last could
be first. Here writers take turns (see ``turns``), and wait no longer for one than SQLite itself would. SQLite's own
lock still decides: a program that knows nothing of the queue is waited for as before.
"""

from typing import Any

from django.db.backends.sqlite3 import base
from django.db.utils import OperationalError

from foedus.records.sqlite.turns import Turns, turns_at

_TIMEOUT_S = 5.0  # SQLite's, where the options give none


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection. Transactions take their turn before they begin, and give it up once they are over."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._turn: Turns | None = None

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
            self._give_up_turn()

    def _take_turn(self) -> None:
        if self.is_in_memory_db() or self._turn is not None:
            return
        turns = turns_at(f"{self.settings_dict['NAME']}-queue")
        if not turns.take(self.settings_dict["OPTIONS"].get("timeout", _TIMEOUT_S)):
            raise OperationalError("database is locked: whoever writes to it does not come to an end")
        self._turn = turns

    def _give_up_turn(self) -> None:
        if self._turn is not None:
            turn, self._turn = self._turn, None
            turn.give_up()
