"""How often a wrong password may be tried: counted in this process, for as many names as fit into bounded memory."""

import threading
from collections import OrderedDict
from datetime import datetime

from foedus.core.errors import QuotaExceeded

TRIES = 10  # of one name from one address
TRIES_OF_ADDRESS = 200  # many phones share the address of their network
WINDOW_S = 300.0
MAX_KEYS = 20_000


class WrongPasswords:
    """Counts within windows that begin with the first wrong password."""

    def __init__(self) -> None:
        self._counts: OrderedDict[tuple[str, ...], tuple[int, float]] = OrderedDict()
        self._lock = threading.Lock()

    def check(self, username: str, client: str, now: datetime) -> None:
        """Raises QuotaExceeded, with the seconds to wait, for whoever was wrong too often."""
        now_s = now.timestamp()
        with self._lock:
            for key, limit in _keys(username, client):
                count, ends_s = self._counts.get(key, (0, 0.0))
                if count >= limit and now_s < ends_s:
                    wait_s = ends_s - now_s
                    raise QuotaExceeded(
                        f"Request was throttled. Expected available in {wait_s:.0f} seconds.", retry_after_s=wait_s
                    )

    def note(self, username: str, client: str, now: datetime) -> None:
        now_s = now.timestamp()
        with self._lock:
            for key, _ in _keys(username, client):
                count, ends_s = self._counts.get(key, (0, 0.0))
                self._counts[key] = (count + 1, ends_s) if now_s < ends_s else (1, now_s + WINDOW_S)
                self._counts.move_to_end(key)
            while len(self._counts) > MAX_KEYS:
                self._counts.popitem(last=False)

    def forget(self, username: str, client: str) -> None:
        """A right password makes up for the wrong ones before it."""
        with self._lock:
            self._counts.pop(_keys(username, client)[0][0], None)


def _keys(username: str, client: str) -> tuple[tuple[tuple[str, ...], int], ...]:
    return (("name", username[:150].lower(), client), TRIES), (("address", client), TRIES_OF_ADDRESS)


WRONG_PASSWORDS = WrongPasswords()
