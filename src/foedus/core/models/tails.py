"""What is extreme: peaks over a threshold, from the largest and smallest values seen, which merge.

Sources: Pickands, Annals of Statistics 3 (1975); Hosking and Wallis, Technometrics 29 (1987), whose weighted moments
fit the generalised Pareto distribution; Siffer et al., KDD 2017, for the threshold that a risk leads to. The
summary of the rows of two sites is the summary of their rows; so is the model, as long as the tail that it is fitted to
was kept.
"""

from dataclasses import dataclass, replace
from math import expm1, log
from typing import ClassVar

import numpy as np

from foedus.core.errors import Conflict, Invalid
from foedus.core.models.model import Outputs, check_names, check_shapes
from foedus.core.statistics.moments import Floats

MAX_KEPT = 100_000  # values of a side of a column
LEAST = 10  # exceedances that a distribution is fitted to
_STRAIGHT = 1e-9  # a shape this near to 0 is exponential


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Tails:
    """Of each column how many values were seen and their sum, and up to ``most`` of the ``largest`` and the
    ``smallest``, ascending.
    """

    columns: tuple[str, ...]
    most: int
    counts: Floats
    sums: Floats
    largest: tuple[Floats, ...]
    smallest: tuple[Floats, ...]

    def __post_init__(self) -> None:
        k = len(self.columns)
        check_names(self.columns)
        check_shapes(counts=(self.counts, (k,)), sums=(self.sums, (k,)))
        if not 2 * LEAST <= self.most <= MAX_KEPT or len(self.largest) != k or len(self.smallest) != k:
            raise Invalid(f"tails keep {2 * LEAST} to {MAX_KEPT} values of each column")
        for n, *sides in zip(self.counts.tolist(), self.largest, self.smallest, strict=True):
            for side in sides:
                if side.ndim != 1 or len(side) != min(n, self.most) or (np.diff(side) < 0).any():
                    raise Invalid("tails ascend, and are of the values that were counted")

    @classmethod
    def empty(cls, columns: tuple[str, ...], most: int) -> "Tails":
        k, none = len(columns), np.zeros(0)
        return cls(
            columns=columns, most=most, counts=np.zeros(k), sums=np.zeros(k), largest=(none,) * k, smallest=(none,) * k
        )

    @classmethod
    def of(cls, columns: tuple[str, ...], rows: Floats, most: int) -> "Tails":
        """Of rows (n, columns); missing values are left out."""
        found = [np.sort(column[np.isfinite(column)]) for column in np.asarray(rows, np.float64).T]
        return cls(
            columns=columns,
            most=most,
            counts=np.array([float(len(each)) for each in found]),
            sums=np.array([float(each.sum()) for each in found]),
            largest=tuple(each[-most:] for each in found),
            smallest=tuple(each[:most] for each in found),
        )

    def merge(self, other: "Tails") -> "Tails":
        """Raises Conflict for other columns, or tails of another length."""
        if (self.columns, self.most) != (other.columns, other.most):
            raise Conflict("tails of other columns or another length do not merge")
        both = zip(self.largest, other.largest, self.smallest, other.smallest, strict=True)
        pairs = [(np.sort(np.concatenate([a, b])), np.sort(np.concatenate([c, d]))) for a, b, c, d in both]
        return replace(
            self,
            counts=self.counts + other.counts,
            sums=self.sums + other.sums,
            largest=tuple(high[-self.most :] for high, _ in pairs),
            smallest=tuple(low[: self.most] for _, low in pairs),
        )

    def only(self, column: str) -> "Tails":
        """Of one column. Raises Invalid for one that is not there."""
        if column not in self.columns:
            raise Invalid(f"extremes are kept of {', '.join(self.columns)}, not of {column[:80]!r}")
        k = self.columns.index(column)
        return Tails(
            columns=(column,), most=self.most, counts=self.counts[k : k + 1], sums=self.sums[k : k + 1],
            largest=self.largest[k : k + 1], smallest=self.smallest[k : k + 1],
        )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Threshold:
    """Values above ``upper``, or below ``lower`` if there are two sides, come up once in 1/risk at most. ``shapes``
    and ``scales`` (2,) are those of the distributions fitted above and below.
    """

    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    means: Floats
    upper: float
    lower: float
    two_sides: bool
    shapes: Floats
    scales: Floats

    def __post_init__(self) -> None:
        check_names(self.inputs, self.targets)
        check_shapes(means=(self.means, (1,)), shapes=(self.shapes, (2,)), scales=(self.scales, (2,)))

    def predict(self, values: Floats) -> Outputs:
        x = values[:, 0]
        above = x > self.upper
        if not self.two_sides:
            return {"evt_is_anomaly": above.astype(np.float64), "evt_threshold": np.full(len(x), self.upper)}
        return {
            "evt_is_anomaly": (above | (x < self.lower)).astype(np.float64),
            "evt_threshold_upper": np.full(len(x), self.upper),
            "evt_threshold_lower": np.full(len(x), self.lower),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtremeValues:
    """The threshold that a value passes with probability ``alpha``: the tail beyond ``quantile`` is generalised Pareto.

    A tail that was cut is fitted as far as it was kept. Raises Invalid for too few values.
    """

    alpha: float = 1e-3
    quantile: float = 0.98
    two_sides: bool = False
    summary: ClassVar[str] = "evt"
    fitted: ClassVar[type] = Threshold

    def __post_init__(self) -> None:
        if not (0 < self.alpha < 1 and 0.5 <= self.quantile < 1):
            raise Invalid("alpha is between 0 and 1, quantile from 0.5 to below 1")

    def fit(self, tails: Tails) -> Threshold:
        if len(tails.columns) != 1:
            raise Invalid("an extreme value model is of one column; name it as the input")
        n = float(tails.counts[0])
        upper, shape, scale = self._fitted(tails.largest[0], n)
        lower, shape_below, scale_below = self._fitted(-tails.smallest[0][::-1], n) if self.two_sides else (0.0,) * 3
        return Threshold(
            inputs=tails.columns, targets=(), means=tails.sums / n, upper=upper, lower=-lower,
            two_sides=self.two_sides, shapes=np.array([shape, shape_below]), scales=np.array([scale, scale_below]),
        )  # fmt: skip

    def _fitted(self, tail: Floats, n: float) -> tuple[float, float, float]:
        """Threshold, shape and scale of the values above; ``tail`` ascends, ``n`` were seen in all."""
        beyond = min(len(tail) - 1, int((1 - self.quantile) * n))
        if beyond < LEAST:
            raise Invalid(
                f"{max(beyond, 0)} values are beyond the quantile {self.quantile:g}, and {LEAST} are needed: learn "
                "more rows, or take a lower quantile",
                values=int(n),
            )
        start, peaks = float(tail[-beyond - 1]), tail[-beyond:]
        shape, scale = pareto(peaks - start)
        share = self.alpha * n / beyond
        if share >= 1 or scale == 0:  # within what was seen
            place = min(max(int(np.ceil(self.alpha * n)), 1), len(tail))
            return float(tail[-place]), shape, scale
        if abs(shape) < _STRAIGHT:
            return start - scale * log(share), shape, scale
        return start + scale * expm1(-shape * log(share)) / shape, shape, scale


def pareto(peaks: Floats) -> tuple[float, float]:
    """Shape and scale of a generalised Pareto distribution of ``peaks`` above 0, ascending, by weighted moments."""
    n = len(peaks)
    first = float(peaks.mean())
    second = float(((1 - (np.arange(1, n + 1) - 0.35) / n) * peaks).mean())
    gap = first - 2 * second
    if first <= 0 or gap <= 0:  # all equal: no distribution
        return 0.0, 0.0
    return 2 - first / gap, 2 * first * second / gap
