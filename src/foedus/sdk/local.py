"""What participants of some strategies compute: FedProx's proximal term, and SCAFFOLD's control variates."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from foedus.core.arrays import Arrays, Tensor
from foedus.core.building import full_like, is_float, select
from foedus.core.errors import Invalid
from foedus.sdk.training import Context, Model, Update

CONTROL = "control"


def proximal_term(weights: Mapping[str, Any], model: Model, mu: float) -> dict[str, Tensor]:
    """The gradient of ``mu/2 * ||weights - model||**2``, to be added to that of the loss; floating-point tensors only.

    Source: Li et al., "Federated Optimization in Heterogeneous Networks", MLSys 2020.
    """
    return {name: mu * (np.asarray(weights[name]) - array) for name, array in model.items() if array.dtype.kind == "f"}


@dataclass(frozen=True, slots=True)
class Scaffold:
    """One round of SCAFFOLD as its participant sees it.

    ``correction``  c - c_i by tensor: add it to every gradient
    ``own``         c_i, kept in the participant's state folder from round to round, and across restarts
    Source: Karimireddy et al., "SCAFFOLD", ICML 2020, Algorithm 1, option II.
    """

    model: Model
    shared: Arrays
    own: Arrays

    @classmethod
    def of(cls, model: Model, context: Context) -> Self:
        """Raises Invalid when the project's strategy is another one."""
        shared = context.state.get(CONTROL)
        if shared is None or CONTROL not in context.returns:
            raise Invalid(f"the project's strategy is {context.strategy or 'another one'}, not scaffold")
        return cls(model, shared, context.recall(CONTROL, shared.layout) or full_like(shared, 0.0))

    @property
    def correction(self) -> dict[str, Tensor]:
        return {name: c - self.own[name] for name, c in self.shared.items()}

    def update(
        self,
        weights: Mapping[str, Any],
        examples: float,
        *,
        steps: int,
        rate: float,
        metrics: Mapping[str, float] | None = None,
        **more: Any,
    ) -> Update:
        """The update after ``steps`` steps of learning rate ``rate`` from the model to ``weights``.

        c_i+ = c_i - c + (x - y) / (steps * rate); ``more`` goes to ``Update``.
        """
        if steps < 1 or not rate > 0:
            raise Invalid(f"steps must be 1 or more and rate above 0, not {steps} and {rate}")
        new: dict[str, Tensor] = {}
        for name, array in select(Arrays(dict(self.model)), is_float).items():
            own, shared = self.own[name], self.shared[name]
            moved = (array.astype(np.float64) - np.asarray(weights[name], np.float64)) / (steps * rate)
            new[name] = (own - shared + moved).astype(own.dtype)
        return Update(
            weights,
            examples,
            metrics or {},
            extras={CONTROL: {name: array - self.own[name] for name, array in new.items()}},
            memory={CONTROL: new},
            **more,
        )
