"""Views to ask a policy about, written down in one line each."""

from datetime import UTC, datetime, timedelta
from typing import Any

from foedus.core.rounds import Candidate, Offer, Phase, RoundView

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def people(number: int, *, obstacle: str = "", unseen_s: float = 0, prefix: str = "p") -> tuple[Candidate, ...]:
    return tuple(Candidate(f"{prefix}{n}", f"{prefix}{n}", later(-unseen_s), obstacle) for n in range(number))


def waiting(**facts: Any) -> RoundView:
    return RoundView(**{"number": 3, "phase": Phase.WAITING, "opened_at": NOW, **facts})


def collecting(**facts: Any) -> RoundView:
    """A round that runs since a minute ago and has an hour left."""
    standard = {"number": 3, "phase": Phase.COLLECTING, "opened_at": later(-60), "started_at": later(-60)}
    return RoundView(**{**standard, "deadline_at": later(3600), **facts})


def offer(**facts: Any) -> Offer:
    return Offer(**{"participant": "p0", "invited": True, "task_round": 3, **facts})
