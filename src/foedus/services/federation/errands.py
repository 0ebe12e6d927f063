"""Work that one thread of this process does for all who want it done."""

import threading
from collections.abc import Callable


class Errands:
    """By key. Whoever wants what somebody is at leaves it to that one, who does it once more, and does not wait."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._under_way: dict[int, bool] = {}  # whether somebody came meanwhile

    def do(self, key: int, work: Callable[[], None]) -> None:
        """Raises what ``work`` raises; then it is left undone for those who came meanwhile as well."""
        with self._guard:
            if key in self._under_way:
                self._under_way[key] = True
                return
            self._under_way[key] = False
        try:
            work()
            while self._came(key):
                work()
        except BaseException:
            with self._guard:
                self._under_way.pop(key, None)
            raise

    def _came(self, key: int) -> bool:
        """Whether somebody came since the work was begun; if not it is over in the same moment."""
        with self._guard:
            came = self._under_way.pop(key)
            if came:
                self._under_way[key] = False
            return came
