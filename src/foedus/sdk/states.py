"""What a strategy sends along with a checkpoint."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from foedus.core.arrays import Arrays
from foedus.core.building import full_like, is_float, select
from foedus.core.errors import Invalid
from foedus.core.strategies.strategy import State


@dataclass(frozen=True, slots=True)
class Sent:
    """Groups of arrays by name. ``since`` is the checkpoint at which the strategy began with zeros."""

    groups: Mapping[str, Arrays]
    since: int

    @classmethod
    def beginning(cls, names: tuple[str, ...], model: Arrays, checkpoint: int) -> Self:
        """What is sent before the first step: as much zero as the model has floating-point tensors."""
        zeros = full_like(select(model, is_float), 0.0)
        return cls(dict.fromkeys(names, zeros), checkpoint)

    @classmethod
    def of(cls, names: tuple[str, ...], file: Arrays, checkpoint: int) -> Self:
        """The groups in a state's file. Raises Invalid when some are missing."""
        state = State.from_tensors(file)
        for name in names:
            if name not in state.moments:
                raise Invalid(f"the strategy's state should have {name[:80]!r}, and has not")
        return cls({name: state.moments[name] for name in names}, checkpoint - state.steps)
