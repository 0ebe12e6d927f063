"""The one form that exports write: scores offset + slopes . u + u' bends u, of u = x - means, and what they make."""

from dataclasses import dataclass
from functools import singledispatch
from typing import Any, Literal

import numpy as np

from foedus.core.errors import Invalid
from foedus.core.models.bayes import Bayes
from foedus.core.models.discriminant import Discriminant
from foedus.core.models.latent import Nested
from foedus.core.models.linear import LinearModel
from foedus.core.models.logistic import Logit
from foedus.core.models.multiclass import LinearClasses, QuadraticClasses
from foedus.core.models.power import Power
from foedus.core.models.proximal import Hyperplane
from foedus.core.statistics.moments import Floats


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Scores:
    """``offsets`` (c,), ``slopes`` (c, k), ``bends`` (c, k, k) or None. ``makes``: "number", the one score; "positive",
    the same but at least 0; "sign", 1 where the one score is above 0 and 0 elsewhere; "class", the label of the
    greatest, with probabilities in the ratio of their exponentials.
    """

    inputs: tuple[str, ...]
    target: str
    means: Floats
    labels: tuple[str, ...]
    offsets: Floats
    slopes: Floats
    makes: Literal["number", "positive", "sign", "class"]
    bends: Floats | None = None

    def raw(self) -> tuple[Floats, Floats]:
        """Offsets and slopes for x in place of x - means."""
        if self.bends is None:
            return self.offsets - self.slopes @ self.means, self.slopes
        bent = self.bends @ self.means  # (c, k)
        return self.offsets - self.slopes @ self.means + bent @ self.means, self.slopes - 2 * bent


@singledispatch
def scores_of(model: Any) -> Scores:
    """Raises Invalid for a model that has no such form."""
    raise Invalid(f"a model of the kind {type(model).__name__} has no export but foedus's own")


@scores_of.register
def _(model: LinearModel) -> Scores:
    offset = model.intercept + float(model.coefficients @ model.means)
    return _single(model, model.coefficients, offset, "positive" if model.clipped else "number")


@scores_of.register
def _(model: Power) -> Scores:
    raise Invalid(f"power {model.power:g} of {model.targets[0]!r} has no export but foedus's own")


@scores_of.register
def _(model: Nested) -> Scores:
    weights = model.coefficients[-1]
    return _single(model, weights, float(model.intercepts[-1] + weights @ model.means), "number")


@scores_of.register
def _(model: Discriminant) -> Scores:
    return _single(model, model.weights, float(model.weights @ model.means) - model.threshold, "sign")


@scores_of.register
def _(model: Hyperplane) -> Scores:
    return _single(model, model.weights, float(model.weights @ model.means) - model.gamma, "sign")


@scores_of.register
def _(model: Logit) -> Scores:
    offset = model.intercept + float(model.coefficients @ model.means)
    slopes = np.stack([np.zeros_like(model.coefficients), model.coefficients])
    return _classes(model, ("0", "1"), np.array([0.0, offset]), slopes)


@scores_of.register
def _(model: LinearClasses) -> Scores:
    return _classes(model, model.labels, model.offsets + model.weights @ model.means, model.weights)


@scores_of.register
def _(model: QuadraticClasses) -> Scores:
    gaps = model.centres - model.means
    slopes = np.einsum("cij,cj->ci", model.precisions, gaps)
    offsets = model.offsets - 0.5 * (slopes * gaps).sum(axis=1)
    return _classes(model, model.labels, offsets, slopes, -0.5 * model.precisions)


@scores_of.register
def _(model: Bayes) -> Scores:
    bends = np.array([np.diag(row) for row in model.bends])
    return _classes(model, model.labels, model.offsets, model.slopes, bends)


def _single(model: Any, slopes: Floats, offset: float, makes: Literal["number", "positive", "sign"]) -> Scores:
    return Scores(
        inputs=model.inputs,
        target=_target(model),
        means=model.means,
        labels=(),
        offsets=np.array([offset]),
        slopes=slopes[None, :],
        makes=makes,
    )


def _classes(
    model: Any, labels: tuple[str, ...], offsets: Floats, slopes: Floats, bends: Floats | None = None
) -> Scores:
    return Scores(
        inputs=model.inputs,
        target=_target(model),
        means=model.means,
        labels=labels,
        offsets=offsets,
        slopes=slopes,
        makes="class",
        bends=bends,
    )


def _target(model: Any) -> str:
    """The one target; several are the classes of something that has no name."""
    return str(model.targets[0]) if len(model.targets) == 1 else "class"
