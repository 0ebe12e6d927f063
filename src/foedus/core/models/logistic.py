"""Logistic regression in a single pass, by a normal posterior that rows sharpen. Approximate.

Source: Spiegelhalter and Lauritzen, Networks 20 (1990); sums over sites after Broderick et al., Streaming variational
Bayes, NIPS 2013. Each block of rows turns the posterior so far, normal, into the normal approximation of the next
(Laplace's, at the mode). What a block adds to the precision and its product with the mean adds up over sites, as if it
had been found from the prior; so the result depends a little on how rows are cut into blocks, and comes near the
maximum of the likelihood of all rows as blocks grow.
"""

from dataclasses import dataclass, replace
from math import inf
from typing import ClassVar

import numpy as np

from foedus.core.errors import Conflict, Invalid
from foedus.core.models.model import Outputs, check_names, check_shapes
from foedus.core.statistics.moments import Floats

BLOCK = 4096
_NEWTON_STEPS = 50


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Posterior:
    """``precision`` (k + 1, k + 1) and ``pull`` (k + 1,), precision times mean, of intercept and weights, without the
    prior, which is normal with mean 0 and precision ``prior`` in the units of the data.
    """

    inputs: tuple[str, ...]
    target: str
    prior: float
    rows: int
    sums: Floats
    precision: Floats
    pull: Floats

    def __post_init__(self) -> None:
        k = len(self.inputs)
        check_names(self.inputs, (self.target,))
        check_shapes(sums=(self.sums, (k,)), precision=(self.precision, (k + 1, k + 1)), pull=(self.pull, (k + 1,)))
        if not 0 < self.prior < inf or self.rows < 0:
            raise Invalid("the precision of a prior is above 0, rows are counted")

    @classmethod
    def empty(cls, inputs: tuple[str, ...], target: str, prior: float = 1e-3) -> "Posterior":
        k = len(inputs)
        return cls(
            inputs=inputs, target=target, prior=prior, rows=0, sums=np.zeros(k), precision=np.zeros((k + 1, k + 1)),
            pull=np.zeros(k + 1),
        )  # fmt: skip

    def learn(self, values: Floats, target: Floats) -> "Posterior":
        """With rows (n, inputs) and targets 0 or 1; rows with a missing value are left out. Raises Invalid."""
        values, target = np.asarray(values, np.float64), np.asarray(target, np.float64)
        if values.shape != (len(target), len(self.inputs)):
            raise Invalid("rows are a table with these inputs, and a target each")
        whole = np.isfinite(values).all(axis=1) & np.isfinite(target)
        values, target = values[whole], target[whole]
        if not np.isin(target, (0.0, 1.0)).all():
            raise Invalid(f"target {self.target!r} is 0 or 1")
        found = self
        for start in range(0, len(values), BLOCK):
            found = found._sharpened(values[start : start + BLOCK], target[start : start + BLOCK])
        return found

    def merge(self, other: "Posterior") -> "Posterior":
        """What both saw. Raises Conflict for other columns or another prior."""
        if (self.inputs, self.target, self.prior) != (other.inputs, other.target, other.prior):
            raise Conflict("posteriors of other columns or another prior do not merge")
        return replace(
            self,
            rows=self.rows + other.rows,
            sums=self.sums + other.sums,
            precision=self.precision + other.precision,
            pull=self.pull + other.pull,
        )

    def mean(self) -> Floats:
        """Of intercept and weights: (k + 1,)."""
        return _solved(self.precision + self._prior(), self.pull)

    def _prior(self) -> Floats:
        return self.prior * np.eye(len(self.inputs) + 1)

    def _sharpened(self, values: Floats, target: Floats) -> "Posterior":
        x = np.column_stack([np.ones(len(values)), values])
        before, start = self.precision + self._prior(), self.mean()
        w = start
        for _ in range(_NEWTON_STEPS):
            p = _logistic(x @ w)
            curvature = before + (x * (p * (1 - p))[:, None]).T @ x
            step = _solved(curvature, x.T @ (target - p) - before @ (w - start))
            w = w + step * min(1.0, 10.0 / max(1.0, float(np.abs(x @ step).max())))
            if float(np.abs(step).max()) < 1e-10 * max(1.0, float(np.abs(w).max())):
                break
        p = _logistic(x @ w)
        precision = before + (x * (p * (1 - p))[:, None]).T @ x
        return replace(
            self,
            rows=self.rows + len(values),
            sums=self.sums + values.sum(axis=0),
            precision=precision - self._prior(),
            pull=precision @ w,
        )


def _solved(matrix: Floats, right: Floats) -> Floats:
    """Raises Invalid when the inputs are too unlike in size for the digits of a float."""
    try:
        found = np.linalg.solve(matrix, right).astype(np.float64)
    except np.linalg.LinAlgError:
        found = np.full(len(right), np.nan)
    if not np.isfinite(found).all():
        raise Invalid("a logistic regression cannot tell these inputs apart: bring them to like sizes first")
    return found


def _logistic(z: Floats) -> Floats:
    return 1.0 / (1.0 + np.exp(-np.clip(z, -700, 700)))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Logit:
    """Prob is 1/(1 + exp(-(intercept + x . coefficients))), res is 1 from 0.5 on."""

    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    means: Floats
    coefficients: Floats
    intercept: float
    errors: Floats

    def __post_init__(self) -> None:
        k = (len(self.inputs),)
        check_names(self.inputs, self.targets)
        check_shapes(means=(self.means, k), coefficients=(self.coefficients, k), errors=(self.errors, k))

    def predict(self, values: Floats) -> Outputs:
        p = _logistic(values @ self.coefficients + self.intercept)
        return {"res": (p >= 0.5).astype(np.float64), "Prob": p}


@dataclass(frozen=True, slots=True, kw_only=True)
class LogisticRegression:
    """The posterior's mean. Raises Invalid without rows."""

    summary: ClassVar[str] = "lr"
    fitted: ClassVar[type] = Logit

    def fit(self, posterior: Posterior) -> Logit:
        if not posterior.rows:
            raise Invalid("there are no rows to make a model of")
        w = posterior.mean()
        spread = np.linalg.inv(posterior.precision + posterior.prior * np.eye(len(w)))
        return Logit(
            inputs=posterior.inputs,
            targets=(posterior.target,),
            means=posterior.sums / posterior.rows,
            coefficients=w[1:],
            intercept=float(w[0]),
            errors=np.sqrt(np.diagonal(spread))[1:],
        )
