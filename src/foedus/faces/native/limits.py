"""How often somebody may ask this face, in this process."""

from foedus.core.buckets import TokenBuckets

DEFAULT_PER_SECOND = 200.0


class Limits:
    """The buckets of a process: of those known by their credential, and of addresses that nobody vouches for."""

    def __init__(self, per_second: float = DEFAULT_PER_SECOND) -> None:
        self.configure(per_second)

    def configure(self, per_second: float) -> None:
        """Begin anew with this many requests a second."""
        self.actors = TokenBuckets(per_second)
        self.strangers = TokenBuckets(per_second)


LIMITS = Limits()
