"""How often somebody may ask this face, and how much may be on its way, in this process."""

from collections.abc import Iterator
from contextlib import contextmanager

from foedus.core.buckets import TokenBuckets
from foedus.core.errors import Unavailable

DEFAULT_PER_SECOND = 200.0
MAX_HELD_BYTES = 512 << 20  # of all bodies together


class Limits:
    """Requests a second of customers, and of addresses that nobody vouches for; bytes of bodies in memory."""

    def __init__(self, per_second: float = DEFAULT_PER_SECOND) -> None:
        self.configure(per_second)
        self._held = 0

    def configure(self, per_second: float) -> None:
        """Begin anew with this many requests a second."""
        self.customers = TokenBuckets(per_second)
        self.strangers = TokenBuckets(per_second)

    @contextmanager
    def holding(self) -> Iterator["Held"]:
        """Counts what one body takes, until the context ends. Only the event loop touches it."""
        held = Held(self)
        try:
            yield held
        finally:
            self._held -= held.size

    def grow(self, size: int) -> None:
        """Raises Unavailable when all bodies together would take too much."""
        if self._held + size > MAX_HELD_BYTES:
            raise Unavailable("too many large bodies are on their way; try again in a moment", retry_after_s=2)
        self._held += size


class Held:
    """What one body takes."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.size = 0

    def add(self, size: int) -> None:
        self._limits.grow(size)
        self.size += size


LIMITS = Limits()
