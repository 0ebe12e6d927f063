"""Large bodies that are on their way at the same time: the more there are, the smaller are the pieces of each.

A piece is held several times over: here, on its way to or from a thread, and by the web server, which takes up to six
of an answer ahead of who reads it. Large pieces cost fewer turns of threads; small ones leave memory to the others. So
what is held of all bodies together grows little, however many there are.
"""

from collections.abc import Iterator
from contextlib import contextmanager

LARGEST_BYTES = 1 << 20
SMALLEST_BYTES = 64 << 10
TOGETHER_BYTES = 4 << 20
WHOLE_BYTES = 16 << 20  # of bodies that are held whole


class Crowd:
    """Counts who is on the way; only the event loop enters it."""

    def __init__(self) -> None:
        self._size = 0

    @contextmanager
    def joined(self) -> Iterator[None]:
        self._size += 1
        try:
            yield
        finally:
            self._size -= 1

    def piece_bytes(self, coming: int = 0) -> int:
        """The size of a piece now, or once so many more have joined."""
        share = TOGETHER_BYTES // max(1, self._size + coming)
        return max(SMALLEST_BYTES, min(LARGEST_BYTES, share))


class Room:
    """Memory for small bodies as a whole. Who finds none left takes the way of large ones; only the event loop asks."""

    def __init__(self, size_bytes: int = WHOLE_BYTES) -> None:
        self._left = size_bytes

    def has(self, size_bytes: int) -> bool:
        return size_bytes <= min(self._left, LARGEST_BYTES)

    @contextmanager
    def taken(self, size_bytes: int) -> Iterator[None]:
        self._left -= size_bytes
        try:
            yield
        finally:
            self._left += size_bytes
