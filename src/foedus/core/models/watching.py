"""An output of another model, watched: values that are extreme for it, by what it gave before. Source: see ``tails``.

The threshold is calibrated while predicting: the first values warm it up, those that follow are judged and, unless they
are extreme, taken in.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from foedus.core.errors import Invalid
from foedus.core.models.model import Outputs
from foedus.core.models.tails import LEAST, ExtremeValues, Tails
from foedus.core.statistics.moments import Floats

MAX_WARMUP = 10_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """``model`` is the name of the one whose output ``key`` is watched, after ``warmup`` values."""

    model: str
    key: str
    warmup: int
    recipe: ExtremeValues
    tails: Tails

    def __post_init__(self) -> None:
        if not LEAST / (1 - self.recipe.quantile) <= self.warmup <= MAX_WARMUP:
            raise Invalid(
                f"warming up takes {int(np.ceil(LEAST / (1 - self.recipe.quantile)))} to {MAX_WARMUP} values, so that "
                f"{LEAST} are beyond the quantile"
            )
        if self.tails.columns != (self.key,):
            raise Invalid("a watched output has tails of its own")

    @classmethod
    def new(cls, model: str, key: str, warmup: int, recipe: ExtremeValues, most: int) -> "Watched":
        return cls(model=model, key=key, warmup=warmup, recipe=recipe, tails=Tails.empty((key,), most))

    def judged(self, values: Floats) -> tuple[Outputs, "Watched"]:
        """What there is to say of values (n,), and the watcher that has seen them."""
        first = int(min(len(values), max(0.0, self.warmup - float(self.tails.counts[0]))))
        warm = self.taken(values[:first])
        if first == len(values):
            return warm.nothing(len(values)), warm
        said = warm.recipe.fit(warm.tails).predict(values[first:, None])
        before = self.nothing(first)
        both = {name: np.concatenate([before[name], column]) for name, column in said.items()}
        return both, warm.taken(values[first:][said["evt_is_anomaly"] == 0])

    def taken(self, values: Floats) -> "Watched":
        """The watcher that has seen values (n,)."""
        more = Tails.of((self.key,), values[:, None], self.tails.most)
        return replace(self, tails=self.tails.merge(more))

    def nothing(self, rows: int) -> Outputs:
        """What is said while it warms up."""
        sides = ("evt_threshold_upper", "evt_threshold_lower") if self.recipe.two_sides else ("evt_threshold",)
        return {"evt_is_anomaly": np.zeros(rows), **{side: np.full(rows, np.nan) for side in sides}}


class Watching:
    """What a watched output is registered as: it is made for a model, not fitted."""

    fitted: ClassVar[type] = Watched
