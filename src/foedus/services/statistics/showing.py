"""Explorations of a project and fits of models for people who look: computed for the page, and not kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from foedus.core.errors import Invalid, PlatformError
from foedus.core.exploration import Query
from foedus.core.models import Task
from foedus.core.models.linear import LinearModel, Regression
from foedus.ports import Ports
from foedus.records.statistics.models import StatisticsProject
from foedus.services.shell.authorisation import Actor
from foedus.services.statistics.contributing import customer_of
from foedus.services.statistics.exploring import correlated, explored
from foedus.services.statistics.modelling import fit
from foedus.services.statistics.projects import find_project
from foedus.services.statistics.reading import describe

MAX_COLUMNS = 200  # to choose from
MAX_MAPPED = 20  # columns of a map
MAX_INPUTS = 50
ALGORITHMS = {
    "mlr": "linear regression", "ridge": "ridge", "lasso": "lasso", "elasticnet": "elastic net",
}  # fmt: skip
_NUMBERS = ("C", "B")
_FACTS = {
    "count": "Count", "mean": "Mean", "meanMarginErrorC95": "± at 95 %", "stddev": "Deviation", "variance": "Variance",
    "skewness": "Skewness", "kurtosis": "Kurtosis", "min": "Least", "median": "Median", "max": "Greatest",
}  # fmt: skip
_PAIR = {"linCorr": "Correlation", "covar": "Covariance"}
_GROUP = {"condCount": "Where it is 1: count", "condMean": "Mean there", "condStddev": "Deviation there"}
Numbers = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody wants to see: names of columns, empty where nothing was chosen."""

    one: str = ""
    other: str = ""
    mapped: tuple[str, ...] = ()
    algorithm: str = ""
    inputs: tuple[str, ...] = ()
    target: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """A correlation; ``tint`` from n10 to p10 says how strong it is, and is empty where there is none."""

    value: float | None
    tint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A linear model: a row of numbers for each input, and the numbers of the whole."""

    title: str
    target: str
    rows: tuple[tuple[str, Numbers], ...]
    intercept: float
    r2: float
    n: int
    with_errors: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    """What was found; ``troubles`` says in sentences what was not, and why."""

    project: StatisticsProject
    rows: int
    columns: tuple[str, ...]
    more_columns: int
    wish: Wish
    facts: Numbers
    pair: Numbers
    map: tuple[tuple[str, tuple[Cell, ...]], ...]
    fit: Fit | None
    troubles: tuple[str, ...]


def show(ports: Ports, actor: Actor, cid: str, name: str, wish: Wish) -> Show:
    """Raises NotFound, Forbidden."""
    row = find_project(actor, customer_of(actor, cid), name)
    found = describe(ports, row)
    columns = tuple(column for column, letter in found.columns if letter in _NUMBERS)
    troubles: list[str] = []

    def tried(work: Any) -> Any:
        try:
            return work()
        except PlatformError as exc:
            troubles.append(exc.message)
            return None

    facts = tried(lambda: _picked(explored(ports, row, "uni", [Query((wish.one,))])[0], _FACTS)) if wish.one else None
    both = Query((wish.one, wish.other))
    of_pair = _PAIR | (_GROUP if (wish.other, "B") in found.columns else {})
    pair = tried(lambda: _picked(explored(ports, row, "bi", [both])[0], of_pair)) if wish.one and wish.other else None
    mapped = tried(lambda: _map(ports, row, wish.mapped)) if wish.mapped else None
    fitted = tried(lambda: _fit(ports, row, wish)) if wish.algorithm else None
    return Show(
        project=row, rows=found.rows, columns=columns[:MAX_COLUMNS], more_columns=max(0, len(columns) - MAX_COLUMNS),
        wish=wish, facts=facts or {}, pair=pair or {}, map=mapped or (), fit=fitted, troubles=tuple(troubles),
    )  # fmt: skip


def _picked(answer: Numbers, names: Mapping[str, str]) -> Numbers:
    return {title: answer[name] for name, title in names.items() if name in answer}


def _map(ports: Ports, row: StatisticsProject, columns: tuple[str, ...]) -> tuple[tuple[str, tuple[Cell, ...]], ...]:
    if not 2 <= len(columns) <= MAX_MAPPED:
        raise Invalid(f"a map is of 2 to {MAX_MAPPED} attributes; {len(columns)} were chosen")
    found = correlated(ports, row, columns)

    def cell(one: str, other: str) -> Cell:
        value = 1.0 if one == other else found[one, other]
        if value != value:  # noqa: PLR0124 - NaN alone differs from itself
            return Cell(None, "")
        return Cell(value, f"{'n' if value < 0 else 'p'}{round(abs(value) * 10)}")

    return tuple((one, tuple(cell(one, other) for other in columns)) for one in columns)


def _fit(ports: Ports, row: StatisticsProject, wish: Wish) -> Fit:
    if wish.algorithm not in ALGORITHMS:
        raise Invalid(f"there is no model {wish.algorithm[:40]!r} here; there are {', '.join(ALGORITHMS)}")
    if not wish.target:
        raise Invalid("choose the target of the model")
    inputs = tuple(name for name in wish.inputs if name != wish.target)
    if not 1 <= len(inputs) <= MAX_INPUTS:
        raise Invalid(f"choose 1 to {MAX_INPUTS} inputs beside the target; {len(inputs)} were chosen")
    model: LinearModel = fit(ports, row, wish.algorithm, Task(inputs, (wish.target,)), {}).model
    rows = tuple((name, _numbers_of(model, place)) for place, name in enumerate(model.inputs))
    known: Any = model
    return Fit(
        title=ALGORITHMS[wish.algorithm], target=wish.target, rows=rows, intercept=model.intercept, r2=float(known.r2),
        n=int(known.n), with_errors=isinstance(model, Regression),
    )  # fmt: skip


def _numbers_of(model: LinearModel, place: int) -> Numbers:
    numbers = {"coefficient": float(model.coefficients[place])}
    if isinstance(model, Regression):
        for name, values in (
            ("error", model.errors), ("t", model.scores), ("p", model.p_values), ("low", model.low),
            ("high", model.high),
        ):  # fmt: skip
            numbers[name] = float(values[place])
    return numbers
