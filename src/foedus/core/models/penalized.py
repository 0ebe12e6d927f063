"""Ridge, lasso and elastic net from moments. Source: Zou and Hastie, J. R. Statist. Soc. B 67 (2005).

Minimised is RSS/(2n) + strength * (mix * sum(abs(b)) + (1 - mix)/2 * sum(b**2)), over standardised inputs unless told
otherwise; the intercept is free. That the strength is not multiplied by n is a choice: a project that learns on keeps
the meaning of its strength.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, log
from typing import ClassVar, Literal

import numpy as np

from foedus.core.errors import Invalid
from foedus.core.models.algebra import inverse
from foedus.core.models.covariances import Covariances, covariances_of
from foedus.core.models.descent import Problem
from foedus.core.models.linear import LinearModel, residual_squares
from foedus.core.models.model import Task, columns_of
from foedus.core.statistics import Statistics
from foedus.core.statistics.moments import Floats

MAX_SWEEPS = 100_000
MAX_STEPS = 1_000


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Penalized(LinearModel):
    """With the penalty that was used, and Akaike's criterion for small samples."""

    n: int
    strength: float
    mix: float
    aicc: float
    r2: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ElasticNet:
    """With ``search`` "aicc" the strength is the best of ``steps`` from 10**min_power to 10**max_power, the mix of
    ``mix_steps`` from mix_least to mix_most: the least n log(RSS/n) + 2k + 2k(k + 1)/(n - k - 1), for k inputs used.

    ``debias`` fits the inputs used once more without penalty. ``start`` are coefficients to start from, by column.
    Exact up to ``tolerance``. Raises Invalid for inputs that do not vary, and when descent does not settle.
    """

    strength: float = 0.1
    mix: float = 0.5
    max_iterations: int = 10_000
    tolerance: float = 1e-5
    standardize: bool = True
    debias: bool = False
    clip_negative: bool = False
    start: Mapping[str, float] = field(default_factory=dict)
    search: Literal["none", "aicc"] = "none"
    min_power: float = -10.0
    max_power: float = 3.0
    steps: int = 100
    mix_least: float = 0.0
    mix_most: float = 1.0
    mix_steps: int = 11
    fitted: ClassVar[type] = Penalized

    def __post_init__(self) -> None:
        shares = (self.mix, self.mix_least, self.mix_most)
        if not (0 <= self.strength < inf and all(0 <= share <= 1 for share in shares)):
            raise Invalid("strength is at least 0, mix is from 0 (ridge) to 1 (lasso)")
        if not (1 <= self.max_iterations <= MAX_SWEEPS and 0 < self.tolerance < 1):
            raise Invalid(f"max_iterations is 1 to {MAX_SWEEPS}, tolerance between 0 and 1")
        powers = -300 <= self.min_power <= self.max_power <= 300
        if not (powers and 1 <= self.steps <= MAX_STEPS and 1 <= self.mix_steps <= MAX_STEPS):
            raise Invalid(f"powers ascend and are at most 300, steps and mix_steps are 1 to {MAX_STEPS}")

    def fit(self, statistics: Statistics, task: Task) -> Penalized:
        inputs, targets = columns_of(statistics, task, targets=1)
        found = covariances_of(statistics, [*inputs, *targets])
        scaled = self._scaled(found)
        if self.search == "aicc":
            return self._best(scaled)
        return self._model(scaled, self._descended(scaled, self.strength, self.mix, self._start(scaled)), self.strength)

    def _best(self, scaled: "_Scaled") -> Penalized:
        """Of the path: each strength starts from the solution for the one above it."""
        best: Penalized | None = None
        for mix in np.linspace(self.mix_least, self.mix_most, self.mix_steps).tolist():
            b = self._start(scaled)
            for strength in np.logspace(self.max_power, self.min_power, self.steps).tolist():
                b = self._descended(scaled, strength, mix, b)
                model = self._model(scaled, b, strength, mix)
                if best is None or model.aicc < best.aicc:
                    best = model
        assert best is not None, "there is a strength and a mix at least"  # noqa: S101
        return best

    def _start(self, scaled: "_Scaled") -> Floats:
        found = scaled.found
        unknown = self.start.keys() - set(found.columns[:-1])
        if unknown:
            raise Invalid(f"start names columns that are no inputs: {sorted(unknown)[:5]}")
        return np.array([self.start.get(name, 0.0) for name in found.columns[:-1]]) * scaled.scale

    def _scaled(self, found: Covariances) -> "_Scaled":
        k = len(found.columns) - 1
        variances = np.diagonal(found.scatter)[:k] / found.n
        constant = [found.columns[j] for j in np.flatnonzero(~(variances > 0)).tolist()]
        if constant:
            raise Invalid(f"columns do not vary, leave them out: {constant[:10]}", columns=constant[:10])
        scale = np.sqrt(variances) if self.standardize else np.ones(k)
        gram = found.scatter[:k, :k] / found.n / np.outer(scale, scale)
        return _Scaled(found, scale, Problem(gram, found.scatter[:k, k] / found.n / scale))

    def _descended(self, scaled: "_Scaled", strength: float, mix: float, start: Floats) -> Floats:
        """Coefficients in units of the scale."""
        problem = scaled.problem
        if mix == 0.0 and strength > 0:
            solution = problem.systems.solved(np.arange(len(start)), problem.cross, strength)
            if solution is not None:
                return solution
        if mix == 0.0:
            k = len(start)
            return inverse(problem.gram + strength * np.eye(k), scaled.found.columns[:k]) @ problem.cross
        result = problem.descend(strength, mix, start, tolerance=self.tolerance, sweeps=self.max_iterations)
        if not result.settled:
            raise Invalid(
                f"the coefficients have not settled after {result.sweeps} iterations: allow more, use a greater "
                "strength, or leave out inputs that determine one another"
            )
        return result.b

    def _model(self, scaled: "_Scaled", b: Floats, strength: float, mix: float | None = None) -> Penalized:
        found, beta = scaled.found, b / scaled.scale
        if self.debias:
            beta = _debiased(found, beta)
        k, n = len(beta), found.n
        used = int(np.count_nonzero(beta))
        rest, total = residual_squares(found, beta), float(found.scatter[k, k])
        free = n - used - 1
        tiny = total * 1e-15 or 1e-300
        aicc = n * log(max(rest, tiny) / n) + 2 * used + 2 * used * (used + 1) / free if free > 0 else 1e300
        return Penalized(
            inputs=found.columns[:k],
            targets=found.columns[k:],
            means=found.means[:k],
            coefficients=beta,
            intercept=float(found.means[k] - found.means[:k] @ beta),
            clipped=self.clip_negative,
            n=n,
            strength=strength,
            mix=self.mix if mix is None else mix,
            aicc=aicc,
            r2=1.0 - rest / total if total > 0 else 0.0,
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Scaled:
    """Inputs in units of ``scale`` (k,)."""

    found: Covariances
    scale: Floats
    problem: Problem


def _debiased(found: Covariances, beta: Floats) -> Floats:
    used = np.flatnonzero(beta)
    result = np.zeros_like(beta)
    k = len(beta)
    if len(used):
        result[used] = np.linalg.lstsq(found.scatter[np.ix_(used, used)], found.scatter[used, k], rcond=None)[0]
    return result


@dataclass(frozen=True, slots=True, kw_only=True)
class Lasso(ElasticNet):
    """The elastic net with mix 1."""

    mix: float = 1.0
    mix_least: float = 1.0
    mix_steps: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Ridge(ElasticNet):
    """The elastic net with mix 0, solved at once. ``alpha``, if given, stands for a strength of alpha/n."""

    mix: float = 0.0
    mix_most: float = 0.0
    mix_steps: int = 1
    alpha: float | None = None

    def fit(self, statistics: Statistics, task: Task) -> Penalized:
        if self.alpha is None or self.search == "aicc":
            return ElasticNet.fit(self, statistics, task)
        if not 0 <= self.alpha < inf:
            raise Invalid("alpha is a number of at least 0")
        inputs, targets = columns_of(statistics, task, targets=1)
        found = covariances_of(statistics, [*inputs, *targets])
        strength, scaled = self.alpha / found.n, self._scaled(found)
        return self._model(scaled, self._descended(scaled, strength, 0.0, self._start(scaled)), strength)
