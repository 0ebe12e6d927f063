"""How a project goes: what it is measured by, when that is good enough to stop, and which checkpoint is its model.

All of it is decided from points, the values of one metric by checkpoint number, in the order of the numbers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from foedus.core.errors import Invalid
from foedus.core.policies.options import check_choice, check_count, check_seconds

MIN, MAX = "min", "max"
EVALUATOR, UPDATES, SCORES = "evaluator", "updates", "scores"
MAX_TIMEOUT_S = 86_400.0

Point = tuple[int, float]
Options = Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A number by which checkpoints are compared.

    ``mode``    whether the greatest (``max``) or the least (``min``) is best
    ``source``  who measured it: the server's ``evaluator``, participants while training (``updates``, of the round
                that made the checkpoint), or participants and operators looking at the checkpoint itself (``scores``)
    """

    metric: str
    mode: str = MAX
    source: str = EVALUATOR

    def __post_init__(self) -> None:
        if not self.metric or len(self.metric) > 100 or not self.metric.isprintable():
            raise Invalid("option metric is 1 to 100 printable characters")
        check_choice("mode", self.mode, (MIN, MAX))
        check_choice("source", self.source, (EVALUATOR, UPDATES, SCORES))


def require_evaluator(evaluation: Options, **rules: Options) -> None:
    """Raise Invalid if one of ``rules`` goes by what an evaluator measures, and there is none: it would never act."""
    for name, options in rules.items():
        if options and options.get("source", EVALUATOR) == EVALUATOR and not evaluation:
            text = "goes by what the evaluator measures, and evaluation names none"
            raise Invalid(f"{name} {text}: give one, or the source {UPDATES!r} or {SCORES!r}", field=name)


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyStopping(Metric):
    """Finish once ``patience`` points in a row were no better than the best before them by more than ``min_delta``."""

    patience: int = 5
    min_delta: float = 0.0

    def __post_init__(self) -> None:
        Metric.__post_init__(self)
        check_count("patience", self.patience)
        if not (isfinite(self.min_delta) and self.min_delta >= 0):
            raise Invalid(f"option min_delta must be a finite number from 0, not {self.min_delta}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Have checkpoints looked at by what is registered as ``name`` in the group ``foedus.evaluators``.

    ``options``    are handed to it as they are
    ``every``      checkpoints from one look to the next
    ``timeout_s``  after which a look counts as failed
    ``wait``       whether the next round is opened only once the look is over
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    every: int = 1
    timeout_s: float = 300.0
    wait: bool = False

    def __post_init__(self) -> None:
        check_count("every", self.every)
        check_seconds("timeout_s", self.timeout_s)
        if self.timeout_s > MAX_TIMEOUT_S:
            raise Invalid(f"option timeout_s is at most {MAX_TIMEOUT_S:g}, not {self.timeout_s}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall:
    """Nothing got better since the checkpoint ``best``, whose value is ``value``, for ``points`` points."""

    best: int
    value: float
    points: int


def best_of(points: Sequence[Point], mode: str) -> Point | None:
    """The best point, of equals the first; None when there is none."""
    sign = 1 if mode == MAX else -1
    return max(points, key=lambda point: (sign * point[1], -point[0]), default=None)


def stall(points: Sequence[Point], rule: EarlyStopping) -> Stall | None:
    """Why to stop, if patience is exhausted at the last point."""
    sign = 1 if rule.mode == MAX else -1
    best: Point | None = None
    idle = 0
    for number, value in points:
        if best is None or sign * (value - best[1]) > rule.min_delta:
            best, idle = (number, value), 0
        else:
            idle += 1
    if best is None or idle < rule.patience:
        return None
    return Stall(best=best[0], value=best[1], points=idle)
