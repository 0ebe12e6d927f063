"""Which checkpoints a project keeps, and how long the updates that went into them."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from foedus.core.errors import Invalid
from foedus.core.policies.options import check_count, check_days


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """What stays; a checkpoint stays for any one of these reasons. All None: every checkpoint stays.

    ``keep_last``     the newest ones; at least 1, because the next round begins from it
    ``keep_best``     the best ones by the project's rule for its best checkpoint
    ``keep_every``    those whose number is a multiple of it
    ``keep_days``     those made within so many days
    ``keep_updates``  complete rounds whose single updates stay; 0: none, None: all of them
    """

    keep_last: int | None = None
    keep_best: int | None = None
    keep_every: int | None = None
    keep_days: float | None = None
    keep_updates: int | None = 0

    def __post_init__(self) -> None:
        for name in ("keep_last", "keep_best", "keep_every"):
            check_count(name, getattr(self, name), optional=True)
        check_count("keep_updates", self.keep_updates, at_least=0, optional=True)
        if self.keep_days is not None:
            check_days("keep_days", self.keep_days)
        if self.keep_best is not None and self.keep_last is None:
            raise Invalid("option keep_best needs keep_last beside it: without it nothing is ever dropped")

    @property
    def keeps_all(self) -> bool:
        return self.keep_last is None and self.keep_every is None and self.keep_days is None

    @property
    def drops_nothing(self) -> bool:
        return self.keeps_all and self.keep_updates is None

    def dropped(
        self, made: Iterable[tuple[int, datetime]], best_first: Sequence[int], needed: Collection[int], now: datetime
    ) -> list[int]:
        """The numbers of checkpoints that may go, of those ``made`` (number and time), oldest first.

        ``best_first`` ranks the measured ones; ``needed`` must stay whatever the options say.
        """
        if self.keeps_all:
            return []
        made = sorted(made)
        kept = {*needed, *(number for number, _ in made[-(self.keep_last or 1) :])}
        kept |= set(best_first[: self.keep_best or 0])
        since = None if self.keep_days is None else now - timedelta(days=self.keep_days)
        return [
            number
            for number, at in made
            if number not in kept
            and not (self.keep_every is not None and number % self.keep_every == 0)
            and not (since is not None and at >= since)
        ]
