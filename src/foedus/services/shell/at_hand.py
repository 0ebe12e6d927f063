"""What a process keeps in memory of what it read; of too much, what was used longest ago goes first."""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, Generic, TypeVar

_BESIDE = 4096  # what an entry takes apart from its numbers, about
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Memory:
    """The room that several ``AtHand`` share, whoever of them fills it. Safe to use from many threads."""

    def __init__(self, most_bytes: int) -> None:
        self._guard = threading.Lock()
        self._entries: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._most, self._bytes = most_bytes, 0

    def get(self, key: Hashable) -> Any:
        with self._guard:
            found = self._entries.get(key)
            if found is None:
                return None
            self._entries.move_to_end(key)
            return found[0]

    def keep(self, key: Hashable, value: Any, n_bytes: int) -> None:
        """In place of what there is of this key. What is larger than all the room is not kept."""
        weight = n_bytes + _BESIDE
        with self._guard:
            self._dropped(key)
            if weight > self._most:
                return
            self._entries[key] = value, weight
            self._bytes += weight
            while self._bytes > self._most:
                self._dropped(next(iter(self._entries)))

    def _dropped(self, key: Hashable) -> None:
        _, weight = self._entries.pop(key, (None, 0))
        self._bytes -= weight


class AtHand(Generic[K, V]):
    """Entries of one kind, called ``kind``, in a room that may have others.

    What can change is kept as it was ``at`` a version, or was made from a value, and is not at hand at any other.
    """

    def __init__(self, kind: str, memory: Memory) -> None:
        self._kind, self._memory = kind, memory

    def get(self, key: K, at: object = None) -> V | None:
        found: tuple[object, V] | None = self._memory.get((self._kind, key))
        return found[1] if found is not None and found[0] == at else None

    def keep(self, key: K, value: V, n_bytes: int, at: object = None) -> None:
        """Unless it is larger than all the room; in place of what there is of this key."""
        self._memory.keep((self._kind, key), (at, value), n_bytes)
