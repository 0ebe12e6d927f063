"""What an operator lets a market do."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rules:
    """A market's own: ``lenient``, faults of a proof are recorded, not refused; ``free_only``, nothing has a price."""

    lenient: bool = False
    free_only: bool = False


STRICT = Rules()


@dataclass(frozen=True, slots=True)
class Uploads:
    """``names`` under which uploads are taken; none: not at all. ``each`` and ``total`` are bytes."""

    names: tuple[str, ...] = ()
    each: int = 64 << 20
    total: int = 4 << 30
