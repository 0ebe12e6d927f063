"""What every model is: a frozen dataclass of numbers with ``predict``, made by a recipe of options with ``fit``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from foedus.core.errors import Invalid
from foedus.core.statistics import Kind, Statistics
from foedus.core.statistics.moments import Floats

GROUP = "foedus.models"
SUMMARIES = "foedus.models.summaries"  # recipes whose ``fit`` takes a summary of its own, not statistics
WRAPPERS = "foedus.models.wrappers"  # what is made around another model, and not fitted
Outputs = Mapping[str, NDArray[Any]]  # by name, each (rows,): numbers or texts
MAX_NAMES = 25_000


@dataclass(frozen=True, slots=True)
class Task:
    """From what, and of what. The name of a category stands for its levels; ``targets`` may be empty."""

    inputs: tuple[str, ...]
    targets: tuple[str, ...] = ()


class Model(Protocol):
    """``inputs`` are names of columns; ``means`` (inputs,) stand in for missing values."""

    @property
    def inputs(self) -> tuple[str, ...]: ...

    @property
    def targets(self) -> tuple[str, ...]: ...

    @property
    def means(self) -> Floats: ...

    def predict(self, values: Floats) -> Outputs:
        """Of rows (rows, inputs) without missing values."""
        ...


class Recipe(Protocol):
    """``fitted`` is the class of its models, for those who read them again."""

    fitted: ClassVar[type]

    def fit(self, statistics: Statistics, task: Task) -> Any:
        """Raises Invalid when the statistics do not suffice, and says why; NotFound for unknown columns."""
        ...


def predicted(model: Model, frame: Mapping[str, Sequence[float | None] | NDArray[Any]]) -> Outputs:
    """What a model says of rows given by column. Missing values, and columns that are not given, count as the mean.

    Raises Invalid when columns differ in length or are no numbers.
    """
    sizes = {len(column) for column in frame.values()}
    if len(sizes) > 1:
        raise Invalid("columns differ in length")
    values = np.empty((sizes.pop() if sizes else 0, len(model.inputs)))
    for k, name in enumerate(model.inputs):
        values[:, k] = _numbers(frame[name], name) if name in frame else np.nan
    return model.predict(np.where(np.isnan(values), model.means, values))


def _numbers(column: Any, name: str) -> Floats:
    try:
        numbers = np.asarray(column, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as exc:
        raise Invalid(f"column {name!r} has values that are no numbers", column=name) from exc
    if numbers.ndim != 1 or np.isinf(numbers).any():
        raise Invalid(f"column {name!r} is not one line of finite numbers", column=name)
    return numbers


def columns_of(statistics: Statistics, task: Task, *, targets: int | None = None) -> tuple[tuple[str, ...], ...]:
    """The columns of inputs and of targets. Raises Invalid for none, repeated or a wrong number of them, NotFound."""
    levels = {a.name: a.columns for a in statistics.schema.attributes if a.kind is Kind.CATEGORY}
    inputs, wanted = (
        tuple(column for name in names for column in levels.get(name, (name,))) for names in (task.inputs, task.targets)
    )
    for column in (*inputs, *wanted):
        statistics.schema.place(column)
    if not inputs:
        raise Invalid("a model needs at least one input")
    if len({*inputs, *wanted}) < len(inputs) + len(wanted):
        raise Invalid("a column is named twice among inputs and targets")
    if targets is not None and len(wanted) != targets:
        raise Invalid(f"this model has {targets} target{'s' * (targets != 1)}, {len(wanted)} were named")
    return inputs, wanted


def check_names(*groups: tuple[str, ...]) -> None:
    """Raises Invalid for names that a model cannot have."""
    for names in groups:
        if len(names) > MAX_NAMES or len(set(names)) < len(names) or not all(0 < len(name) <= 2048 for name in names):
            raise Invalid("the names of a model's columns are not empty, differ, and are not too many or too long")


def check_shapes(**shapes: tuple[Floats, tuple[int, ...]]) -> None:
    """Raises Invalid for arrays of another shape than a model needs, or with numbers that are not finite."""
    for name, (array, shape) in shapes.items():
        if array.shape != shape or not np.isfinite(array).all():
            raise Invalid(f"{name} of a model must be finite numbers of shape {shape}, not of {array.shape}")
