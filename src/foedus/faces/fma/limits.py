"""How often somebody may ask this face, in this process."""

from foedus.core.buckets import TokenBuckets

DEFAULT_PER_SECOND = 200.0
_STRANGERS_SHARE = 0.1  # trying passwords costs more than asking


class Limits:
    """``callers``: those known by their credentials. By address: ``joiners`` register, ``strangers`` try to log in."""

    def __init__(self, per_second: float = DEFAULT_PER_SECOND) -> None:
        self.configure(per_second)

    def configure(self, per_second: float) -> None:
        """Begin anew with this many requests a second; 0: any number."""
        self.callers = TokenBuckets(per_second)
        self.joiners = TokenBuckets(per_second)
        self.strangers = TokenBuckets(per_second * _STRANGERS_SHARE)


LIMITS = Limits()
