"""What this face is told by the server that it runs in: how often anybody may ask, and the market's own rules."""

from foedus.core.buckets import TokenBuckets
from foedus.core.market.rules import STRICT, Rules, Uploads
from foedus.faces.nevermined.hosts import Names

DEFAULT_PER_SECOND = 200.0
NO_UPLOADS = Uploads()
ANY_NAME = Names()


class Market:
    """``callers``: how often one address may ask, in this process."""

    def __init__(self) -> None:
        self.configure(DEFAULT_PER_SECOND, STRICT)

    def configure(
        self, per_second: float, rules: Rules, uploads: Uploads = NO_UPLOADS, *, is_compute_open: bool = False,
        names: Names = ANY_NAME,
    ) -> None:  # fmt: skip
        """Begin anew with this many requests a second; 0: any number.

        ``is_compute_open``: whether the compute API is for anybody who reaches it. ``names``: what grants may call
        this server.
        """
        self.callers = TokenBuckets(per_second)
        self.rules = rules
        self.uploads = uploads
        self.is_compute_open = is_compute_open
        self.names = names


MARKET = Market()
