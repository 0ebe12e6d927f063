"""What every strategy is: a frozen dataclass of options with ``init`` and ``step``, and the state between steps."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol, Self

import numpy as np

from foedus.core.arrays import Arrays, Tensor
from foedus.core.errors import Invalid
from foedus.core.folding import Update

_WEIGHTS = "weights"
_STEPS = "steps"


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """All that a strategy knows after ``steps`` rounds: the model, and moments that it keeps beside it, by name.

    As tensors, for one file: ``steps``, ``weights/<tensor>`` and ``<moment>/<tensor>``. No moment's name has a slash.
    """

    weights: Arrays
    moments: Mapping[str, Arrays] = field(default_factory=lambda: MappingProxyType({}))
    steps: int = 0

    def to_tensors(self) -> Arrays:
        """Raises Invalid when a tensor's name has no room left for the prefix."""
        groups = {_WEIGHTS: self.weights, **self.moments}
        tensors = {f"{group}/{name}": array for group, arrays in groups.items() for name, array in arrays.items()}
        return Arrays({_STEPS: np.array(self.steps, np.int64), **tensors})

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        """The state that ``to_tensors`` took apart, in any order of tensors. Raises Invalid if it is none."""
        groups: dict[str, dict[str, Tensor]] = {_WEIGHTS: {}}
        for label, array in tensors.items():
            group, slash, name = label.partition("/")
            if slash:
                groups.setdefault(group, {})[name] = array
            elif label != _STEPS:
                raise Invalid(f"tensor {label!r} is not part of a strategy's state", tensor=label)
        steps = tensors.get(_STEPS)
        if steps is None or steps.shape != () or steps.dtype.kind != "i":
            raise Invalid(f"a strategy's state counts its steps in an integer named {_STEPS!r}")
        weights = Arrays(groups.pop(_WEIGHTS))
        return cls(weights, {group: Arrays(arrays) for group, arrays in groups.items()}, int(steps))


class Strategy(Protocol):
    """A pure rule. It changes none of its inputs, and neither samples, waits, logs nor loops over rounds."""

    def init(self, weights: Arrays) -> State:
        """The state before the first round."""
        ...

    def step(self, state: State, updates: Iterable[Update]) -> State:
        """The state after a round with these updates, in whatever order.

        Raises NoUpdates when there are none or they weigh nothing, Invalid when they do not fit the model.
        """
        ...
