"""Work that one thread of this process does for all who want it done."""

import threading
from collections.abc import Callable

from foedus.core.errors import Unavailable


class Errands:
    """By key. Whoever wants what somebody is at leaves it to that one, who does it once more, and does not wait."""

    def __init__(self) -> None:
        self._guard = threading.Condition()
        self._under_way: dict[int, bool] = {}  # whether somebody came meanwhile

    def do(self, key: int, work: Callable[[], None]) -> bool:
        """Whether it was done here, not left to another. Raises what ``work`` raises; then it is left undone for those
        who came meanwhile as well.
        """
        with self._guard:
            if key in self._under_way:
                self._under_way[key] = True
                return False
            self._under_way[key] = False
        try:
            work()
            while self._came(key):
                work()
        except BaseException:
            with self._guard:
                self._under_way.pop(key, None)
                self._guard.notify_all()
            raise
        return True

    def do_here(self, key: int, work: Callable[[], None], timeout_s: float) -> None:
        """For whom it is not enough that another thread does it: as ``do``, after whoever is at it.

        Raises Unavailable when that one takes longer.
        """
        while not self.do(key, work):
            with self._guard:
                if not self._guard.wait_for(lambda: key not in self._under_way, timeout_s):
                    raise Unavailable(f"what another thread is at has not ended within {timeout_s:g} s")

    def _came(self, key: int) -> bool:
        """Whether somebody came since the work was begun; if not it is over in the same moment."""
        with self._guard:
            came = self._under_way.pop(key)
            if came:
                self._under_way[key] = False
            else:
                self._guard.notify_all()
            return came
