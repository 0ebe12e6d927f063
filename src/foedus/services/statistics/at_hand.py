"""What a process keeps in memory of what it read; of too much, what was used longest ago goes first."""

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

from foedus.core.statistics import Statistics

MOST_BYTES = 512 << 20
_BESIDE = 4096  # what an entry takes apart from its numbers, about
K = TypeVar("K")
V = TypeVar("V")


class AtHand(Generic[K, V]):
    """Safe to use from many threads. The entry that came last stays, however large it is."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._guard = threading.Lock()
        self._entries: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._most, self._bytes = most_bytes, 0

    def get(self, key: K) -> V | None:
        with self._guard:
            found = self._entries.get(key)
            if found is None:
                return None
            self._entries.move_to_end(key)
            return found[0]

    def keep(self, key: K, value: V, n_bytes: int) -> None:
        """In place of what there is of this key."""
        with self._guard:
            self._dropped(key)
            self._entries[key] = value, n_bytes + _BESIDE
            self._bytes += n_bytes + _BESIDE
            while self._bytes > self._most and len(self._entries) > 1:
                self._dropped(next(iter(self._entries)))

    def clear(self) -> None:
        with self._guard:
            self._entries.clear()
            self._bytes = 0

    def _dropped(self, key: K) -> None:
        _, n_bytes = self._entries.pop(key, (None, 0))
        self._bytes -= n_bytes


def bytes_of(value: Statistics) -> int:
    """What statistics take in memory, about."""
    return sum(
        sum(array.nbytes for array in summary.moments.arrays())
        + sum(sketch.keys.nbytes + sketch.counts.nbytes for sketch in summary.sketches)
        for summary in (value.total, *value.parts.values())
    )
