"""What is asked: a metric by name, of columns and with options."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Protocol

from foedus.core import registry
from foedus.core.errors import Invalid
from foedus.core.statistics import Kind, Statistics, View

GROUP = "foedus.explorations"
FORMAT = "%.4f"
Answer = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Query:
    """``inputs`` and ``targets`` are names of columns; the name of a category stands for the columns of its levels."""

    inputs: tuple[str, ...]
    targets: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    def number(self, option: str, default: float | None = None) -> float:
        """A numeric option, which may be text. Raises Invalid when it is neither, or not given and without default."""
        value = self.options.get(option, default)
        if value is None:
            raise Invalid(f"this needs the option {option!r}", option=option)
        try:
            number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else None
        except (ValueError, OverflowError):
            number = None
        if number is None or not isfinite(number):
            raise Invalid(f"the option {option!r} is a finite number, not {str(value)[:40]!r}", option=option)
        return number

    def whole(self, option: str, default: int | None, least: int, most: int) -> int:
        """A whole number between two bounds. Raises Invalid."""
        number = self.number(option, default)
        if number != int(number) or not least <= number <= most:
            raise Invalid(f"the option {option!r} is a whole number from {least} to {most}", option=option)
        return int(number)

    def flag(self, option: str, *, default: bool = False) -> bool:
        """Raises Invalid for what is neither true nor false, as JSON or as text."""
        value = self.options.get(option, default)
        text = str(value).strip().lower()
        if text not in ("true", "false", "1", "0"):
            raise Invalid(f"the option {option!r} is true or false, not {text[:40]!r}", option=option)
        return text in ("true", "1")

    def ddof(self, default: int = 0) -> int:
        """What is taken from n in variances: ``unbiased`` says 1 or 0."""
        return int(self.flag("unbiased", default=bool(default)))


class Metric(Protocol):
    def __call__(self, statistics: Statistics, query: Query) -> Answer:
        """Raises Invalid when the query does not fit the metric, NotFound for an unknown column."""
        ...


def explore(metric: str, statistics: Statistics, query: Query) -> Answer:
    """The answer of a registered metric, to full precision. Raises Invalid, NotFound."""
    function: Metric = registry.load(GROUP, metric)
    return function(statistics, query)


def rounded(answer: Answer, form: str = FORMAT) -> dict[str, float]:
    """Numbers as a printf form shows them; what is not finite stays as it is."""
    return {key: float(form % value) if isfinite(value) else value for key, value in answer.items()}


def columns_of(statistics: Statistics, names: tuple[str, ...]) -> tuple[str, ...]:
    """Names with categories replaced by the columns of their levels. Raises NotFound for one that is not there."""
    categories = {a.name: a.columns for a in statistics.schema.attributes if a.kind is Kind.CATEGORY}
    columns = tuple(column for name in names for column in categories.get(name, (name,)))
    for column in columns:
        statistics.schema.place(column)
    return columns


def view_of(statistics: Statistics, names: tuple[str, ...], least: int, most: int | None = None) -> View:
    """A view of so many columns. Raises Invalid for another number of them, NotFound."""
    columns = columns_of(statistics, names)
    if len(columns) < least or (most is not None and len(columns) > most):
        wanted = f"{least}" if least == most else f"at least {least}" if most is None else f"{least} to {most}"
        raise Invalid(f"this needs {wanted} columns, {len(columns)} were named")
    return statistics.view(columns)


def binaries_of(statistics: Statistics, names: tuple[str, ...], least: int = 1) -> tuple[str, ...]:
    """Columns that are all binary. Raises Invalid, NotFound."""
    columns = columns_of(statistics, names)
    for column in columns:
        if not statistics.schema.binary[statistics.schema.place(column)]:
            raise Invalid(f"column {column!r} is not binary, here only binary columns make sense", column=column)
    if len(columns) < least:
        raise Invalid(f"this needs at least {least} binary columns, {len(columns)} were named")
    return columns
