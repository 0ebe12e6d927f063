"""Who is drawn: by a seed and from a pool that are kept, so that anybody can draw again and see the same."""

import random
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Draw:
    """``size`` of ``pool`` by ``seed``. The pool is sorted, so that the draw depends on no query's order."""

    seed: str
    pool: tuple[str, ...]
    size: int

    @classmethod
    def of(cls, seed: str, pool: Sequence[str], size: int) -> "Draw":
        return cls(seed, tuple(sorted(pool)), min(size, len(pool)))

    @property
    def positions(self) -> tuple[int, ...]:
        """Which places of the pool are drawn, in their order."""
        if not self.is_choice:
            return tuple(range(len(self.pool)))
        rng = random.Random(self.seed)  # noqa: S311 - sampling, no secret
        return tuple(sorted(rng.sample(range(len(self.pool)), self.size)))

    @property
    def chosen(self) -> tuple[str, ...]:
        return tuple(self.pool[i] for i in self.positions)

    @property
    def is_choice(self) -> bool:
        """Whether anybody was left out."""
        return self.size < len(self.pool)
