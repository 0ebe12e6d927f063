"""Regression on a few combinations of the inputs: principal components, and partial least squares.

Sources: Massy, J. Am. Stat. Assoc. 60 (1965); for partial least squares from X'X and X'y alone Dayal and MacGregor, J.
Chemometrics 11 (1997), algorithm 1.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from foedus.core.errors import Invalid
from foedus.core.models.covariances import Covariances, covariances_of
from foedus.core.models.descent import Problem
from foedus.core.models.model import Outputs, Task, check_names, check_shapes, columns_of
from foedus.core.statistics import Statistics
from foedus.core.statistics.moments import Floats

SINGULAR = 1e-12  # of the greatest eigenvalue: components below it are rounding


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Nested:
    """Linear models with 1, 2, ... components: ``coefficients`` (models, inputs), ``intercepts`` (models,), named by
    how many components each has. ``res`` is the last one.
    """

    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    means: Floats
    names: tuple[str, ...]
    coefficients: Floats
    intercepts: Floats

    def __post_init__(self) -> None:
        k, q = len(self.inputs), len(self.names)
        check_names(self.inputs, self.targets, self.names)
        check_shapes(
            means=(self.means, (k,)), coefficients=(self.coefficients, (q, k)), intercepts=(self.intercepts, (q,))
        )
        if not q:
            raise Invalid("a model of components has at least one")

    def predict(self, values: Floats) -> Outputs:
        results = values @ self.coefficients.T + self.intercepts
        named = {name: results[:, j] for j, name in enumerate(self.names)}
        return {**named, "res": results[:, -1]}


@dataclass(frozen=True, slots=True, kw_only=True)
class PrincipalComponents:
    """Least squares on the first ``q`` principal components of the standardised inputs ("qfirst"), or a lasso of
    ``strength`` on inputs and all their components together ("full").

    Exact. Raises Invalid when inputs do not vary or have fewer components than ``q``.
    """

    kind: Literal["qfirst", "full"] = "qfirst"
    q: int = 1
    strength: float = 0.1
    tolerance: float = 1e-5
    max_iterations: int = 10_000
    fitted: ClassVar[type] = Nested

    def __post_init__(self) -> None:
        if self.q < 1 or self.strength < 0 or not 0 < self.tolerance < 1 or not 1 <= self.max_iterations <= 100_000:
            raise Invalid("q is at least 1, strength not negative, tolerance below 1, max_iterations 1 to 100000")

    def fit(self, statistics: Statistics, task: Task) -> Nested:
        found, scale, gram, cross = standardised(statistics, task)
        values, vectors = np.linalg.eigh(gram)
        values, vectors = values[::-1], vectors[:, ::-1]
        rank = int((values > SINGULAR * values[0]).sum())
        if self.kind == "full":
            loadings = np.concatenate([np.eye(len(scale)), vectors[:, :rank]], axis=1)
            b = Problem(loadings.T @ gram @ loadings, loadings.T @ cross).descend(
                self.strength, 1.0, np.zeros(loadings.shape[1]), tolerance=self.tolerance, sweeps=self.max_iterations
            )
            return nested(found, scale, [loadings @ b.b], ("full",))
        if self.q > rank:
            raise Invalid(f"these inputs have {rank} components, not {self.q}", components=rank)
        steps = vectors[:, : self.q] * (vectors[:, : self.q].T @ cross / values[: self.q])
        return nested(found, scale, list(np.cumsum(steps, axis=1).T), tuple(str(j + 1) for j in range(self.q)))


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialLeastSquares:
    """``q`` components, each the combination of inputs that varies most with what is left of the target.

    ``only_last`` keeps the model of q components and not those of fewer. Exact. Raises Invalid when there are fewer.
    """

    q: int = 2
    only_last: bool = False
    standardize: bool = True
    fitted: ClassVar[type] = Nested

    def __post_init__(self) -> None:
        if self.q < 1:
            raise Invalid("q is at least 1")

    def fit(self, statistics: Statistics, task: Task) -> Nested:
        found, scale, gram, cross = standardised(statistics, task, standardize=self.standardize)
        b = np.zeros(len(scale))
        models: list[Floats] = []
        directions: list[Floats] = []
        loadings: list[Floats] = []
        rest = cross.copy()
        for step in range(self.q):
            size = float(np.linalg.norm(rest))
            if size <= SINGULAR * float(np.linalg.norm(cross)) or step >= len(scale):
                raise Invalid(f"these inputs give {step} components, not {self.q}", components=step)
            w = rest / size
            r = w - sum((float(p @ w) * d for p, d in zip(loadings, directions, strict=True)), start=np.zeros(len(w)))
            spread = float(r @ gram @ r)
            p, share = gram @ r / spread, float(r @ rest) / spread
            rest = rest - p * share * spread
            b = b + r * share
            directions, loadings, models = [*directions, r], [*loadings, p], [*models, b]
        names = tuple(str(j + 1) for j in range(self.q))
        return nested(found, scale, models[-1:], names[-1:]) if self.only_last else nested(found, scale, models, names)


def standardised(
    statistics: Statistics, task: Task, *, standardize: bool = True
) -> tuple[Covariances, Floats, Floats, Floats]:
    """Moments of inputs and target, the scale of the inputs, and their covariances over n in units of it."""
    inputs, targets = columns_of(statistics, task, targets=1)
    found = covariances_of(statistics, [*inputs, *targets])
    k = len(inputs)
    variances = np.diagonal(found.scatter)[:k] / found.n
    constant = [inputs[j] for j in np.flatnonzero(~(variances > 0)).tolist()]
    if constant:
        raise Invalid(f"columns do not vary, leave them out: {constant[:10]}", columns=constant[:10])
    scale = np.sqrt(variances) if standardize else np.ones(k)
    return (
        found,
        scale,
        found.scatter[:k, :k] / found.n / np.outer(scale, scale),
        found.scatter[:k, k] / found.n / scale,
    )


def nested(found: Covariances, scale: Floats, models: list[Floats], names: tuple[str, ...]) -> Nested:
    k = len(scale)
    coefficients = np.array(models) / scale
    return Nested(
        inputs=found.columns[:k],
        targets=found.columns[k:],
        means=found.means[:k],
        names=names,
        coefficients=coefficients,
        intercepts=found.means[k] - coefficients @ found.means[:k],
    )
