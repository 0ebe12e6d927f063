"""How often somebody may ask: token buckets, for as many strangers as fit into bounded memory."""

import threading
from collections import OrderedDict

from foedus.core.errors import QuotaExceeded

MAX_KEYS = 10_000
_BURST = 2  # seconds' worth of requests that may come at once


class TokenBuckets:
    """For each key, ``per_second`` requests, and twice as many at once. 0 or less: any number.

    Only the ``MAX_KEYS`` keys used latest are remembered; who was forgotten begins with a full bucket.
    """

    def __init__(self, per_second: float, max_keys: int = MAX_KEYS) -> None:
        self._per_second = per_second
        self._burst = max(1.0, per_second * _BURST)
        self._max_keys = max_keys
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._levels)

    def take(self, key: str, now_s: float) -> None:
        """Take a token. Raises QuotaExceeded, with the seconds until there is one, when there is none."""
        if self._per_second <= 0:
            return
        with self._lock:
            level = self._level(key, now_s)
            wait_s = max(0.0, (1 - level) / self._per_second)
            self._levels[key] = (level - 1 if not wait_s else level, now_s)
            self._levels.move_to_end(key)
            while len(self._levels) > self._max_keys:
                self._levels.popitem(last=False)
        if wait_s:
            raise QuotaExceeded(f"too many requests; the next one may come in {wait_s:.1f} s", retry_after_s=wait_s)

    def _level(self, key: str, now_s: float) -> float:
        level, then_s = self._levels.get(key, (self._burst, now_s))
        return min(self._burst, level + max(0.0, now_s - then_s) * self._per_second)
