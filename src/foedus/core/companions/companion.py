"""What companions have in common."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

import numpy as np

from foedus.core.errors import Conflict, Invalid
from foedus.core.models.model import Task
from foedus.core.symetryml.frames import Floats, Frame
from foedus.core.symetryml.inputs import inputs_of


class Summary(Protocol):
    """Adds up over rows, in any order."""

    def merge(self, other: Self) -> Self: ...

    def forget(self, other: Self) -> Self:
        """Raises Conflict for what was never learned, or when this kind of summary cannot forget."""
        ...


class Companion(Protocol):
    """``kind`` is the class of its summaries."""

    kind: ClassVar[type]

    def empty(self) -> Any:
        """Of no rows."""
        ...

    def part(self, frame: Frame) -> Any:
        """What the rows of a frame add. Raises Invalid."""
        ...

    def added(self, summary: Any, part: Any) -> Any: ...

    def removed(self, summary: Any, part: Any) -> Any:
        """Raises Conflict."""
        ...

    def chosen(self, summary: Any, task: Task) -> Any:
        """What a model of a task is fitted to. Raises Invalid for a task that the summary is not about."""
        ...


class Mergeable:
    """A companion whose parts are summaries."""

    def added(self, summary: Any, part: Any) -> Any:
        return summary.merge(part)

    def removed(self, summary: Any, part: Any) -> Any:
        return summary.forget(part)

    def chosen(self, summary: Any, task: Task) -> Any:  # noqa: ARG002 - it is about what was declared
        return summary


@dataclass(frozen=True, slots=True)
class OfFeatures(Mergeable):
    """A companion about the columns that were declared."""

    features: tuple[str, ...]

    def chosen(self, summary: Any, task: Task) -> Any:
        if task.inputs and set(task.inputs) != set(self.features):
            raise Invalid(
                "this model is of the attributes that the project was made for, "
                f"{', '.join(self.features[:20])}: name these, or none"
            )
        return summary


class Remembering:
    """A companion whose summaries cannot be taken apart again; ``why`` says the reason."""

    why: ClassVar[str]

    def removed(self, summary: Any, part: Any) -> Any:  # noqa: ARG002 - whatever it is
        raise Conflict(f"this project cannot forget: {self.why}")


def whole_rows(frame: Frame, features: Sequence[str]) -> tuple[Floats, Floats]:
    """The features (rows, features), and which rows have a value of each."""
    found = inputs_of(frame, tuple(features), {})
    missing = np.full(frame.rows, np.nan)
    values = np.column_stack([found.get(name, missing) for name in features]).reshape(frame.rows, len(features))
    return values, np.isfinite(values).all(axis=1)


def cells_of(frame: Frame, name: str) -> Sequence[Any]:
    """Raises Invalid for a frame without the attribute."""
    cells = frame.column(name)
    if cells is None:
        raise Invalid(f"the frame has no attribute {name[:80]!r}, which this project was made for", attribute=name[:80])
    return cells
