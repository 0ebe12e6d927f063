"""Which cells of a fusion project are asked again, and what may be answered with what they said.

A cell is asked at most once in a window, whether it answers or not. What it said last stands in for it while it does
not answer, until that is too old; who asks is told which cells these are, and how old what they said is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

MAX_SHOWN = 20  # cells that one text names
MAX_SPAN = 1e12  # milliseconds or seconds; a window so long can still be added to a date


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """``window_s``: between two questions to a cell. ``max_age_s``: of what stands in for a cell that does not answer;
    ``strict``: nothing does.
    """

    window_s: float = 15.0
    max_age_s: float = 86_400.0
    strict: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CellState:
    """``tried_at``: when the cell was asked last. ``good_at``: when what is kept of it was last what it had. ``error``:
    why it did not answer when it was asked last.
    """

    name: str
    tried_at: datetime | None = None
    good_at: datetime | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """``may_answer``: what is kept will do. ``error``: what is wrong with which cells, empty when all is well.
    ``oldest_s``: the age of what is kept of the cell that was heard of longest ago, None when one never was.
    """

    may_answer: bool
    error: str
    oldest_s: float | None


def due(cells: Sequence[CellState], now: datetime, rule: Freshness) -> list[int]:
    """The places of the cells to be asked now. One that was asked in the future is: the clock was set back."""
    window = timedelta(seconds=rule.window_s)
    return [
        place
        for place, cell in enumerate(cells)
        if cell.tried_at is None or not now - window < cell.tried_at <= now + window
    ]


def age_s(cell: CellState, now: datetime) -> float | None:
    """How old what is kept of the cell is; None when nothing is."""
    return None if cell.good_at is None else max(0.0, (now - cell.good_at).total_seconds())


def judged(cells: Sequence[CellState], now: datetime, rule: Freshness) -> Verdict:
    """Whether, and with which reservations, the kept statistics of all cells may be answered with."""
    ages = [age_s(cell, now) for cell in cells]
    failing = [(cell, age) for cell, age in zip(cells, ages, strict=True) if cell.error or age is None]
    usable = all(_stands_in(age, rule) for _, age in failing)
    texts = [_told(cell, age, rule) for cell, age in failing[:MAX_SHOWN]]
    if len(failing) > MAX_SHOWN:
        texts.append(f"{len(failing) - MAX_SHOWN} more cells")
    known = [age for age in ages if age is not None]
    return Verdict(usable, "; ".join(texts), max(known, default=0.0) if len(known) == len(ages) else None)


def _stands_in(age: float | None, rule: Freshness) -> bool:
    return age is not None and age <= rule.max_age_s and not rule.strict


def _told(cell: CellState, age: float | None, rule: Freshness) -> str:
    text = f"{cell.name}: {cell.error or 'was not asked yet'}"
    if age is None:
        return text
    if _stands_in(age, rule):
        return f"{text} (answered with its statistics of {age:.0f} s ago)"
    return f"{text} (its statistics of {age:.0f} s ago are {'not used' if rule.strict else 'too old'})"
