"""What every strategy is: a frozen dataclass of options with ``init`` and ``step``, and the state between steps."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol, Self

import numpy as np

from foedus.core.arrays import Arrays, Layout, Tensor, TensorSpec
from foedus.core.building import is_float
from foedus.core.errors import Invalid
from foedus.core.folding import Kind, Update

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a strategy needs beyond models and weights, for those who deal with participants to see to.

    ``settings``  go to participants among the settings of a task, where the project has none of the same name
    ``sent``      moments of the state that go to participants beside the model; ``init`` makes them zero
    ``returned``  groups of tensors that come back with every update as ``extras``, each of ``moment_layout``
    ``metrics``   what every update must report, and the least value of each
    ``kind``      the one kind of update that it can use; None where either will do
    ``updates``   how many updates a round must have at least
    ``moderate``  the kinds of updates whose deltas it adds up or squares, so that a step of absurd size would leave the
                  range of its dtype: an update with one is refused (``codecs.finite.LARGEST_STEP``)
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    sent: tuple[str, ...] = ()
    returned: tuple[str, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    kind: Kind | None = None
    updates: int = 1
    moderate: tuple[Kind, ...] = ()

    def check_updates(self, who: str, count: int) -> None:
        """Raise Invalid when a round of ``count`` updates is too small."""
        if count < self.updates:
            raise Invalid(
                f"{who} needs {self.updates} updates or more, this round has {count}: "
                "let more participants take part, or allow for fewer liars",
                needed=self.updates,
                updates=count,
            )

    def check_metrics(self, metrics: Mapping[str, float]) -> None:
        """Raise Invalid unless the metrics that are needed are there, and none is less than makes sense."""
        for name, least in self.metrics.items():
            if name not in metrics:
                text = f"the project's strategy needs the metric {name!r} with every update"
                raise Invalid(text, field="metrics", metric=name)
            if metrics[name] < least:
                raise Invalid(f"the metric {name!r} must be {least:g} or more", field="metrics", metric=name)


class Strategy(Protocol):
    """A pure rule. It changes none of its inputs, and neither samples, waits, logs nor loops over rounds.

    One that needs more than models and weights says so in an attribute ``needs``.
    """

    def init(self, weights: Arrays) -> State:
        """The state before the first round."""
        ...

    def step(self, state: State, updates: Iterable[Update]) -> State:
        """The state after a round with these updates, in whatever order.

        Raises NoUpdates when there are none or they weigh nothing, Invalid when they do not fit the model.
        """
        ...


def needs_of(strategy: Strategy) -> Needs:
    """What ``strategy`` needs: nothing, if it says nothing."""
    needs: Needs = getattr(strategy, "needs", Needs())
    return needs


def moment_layout(layout: Layout) -> Layout:
    """The tensors of a moment of a model: the floating-point ones, in float32 or wider."""
    return Layout(
        tuple(TensorSpec(t.name, t.shape, np.promote_types(t.dtype, np.float32).name) for t in layout if is_float(t))
    )


def check_byzantine(byzantine: int) -> None:
    """Raise Invalid unless the option ``byzantine``, how many updates may lie, is a count."""
    if byzantine < 0:
        raise Invalid(f"byzantine must be 0 or more, not {byzantine}")
