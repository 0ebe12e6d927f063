"""What participants hand in."""

from datetime import datetime
from typing import Any, Self

from foedus.faces.native.answers.base import Out
from foedus.records.learning.models import Score, Update


class HeartbeatOut(Out):
    round_open: bool


class UploadOut(Out):
    id: str
    offset: int
    size_bytes: int
    expires_at: datetime


class HandedInOut(Out):
    id: int
    participant: str
    examples: float
    staleness: int
    digest: str
    size_bytes: int
    accepted_at: datetime

    @classmethod
    def _fields(cls, row: Update) -> dict[str, Any]:
        same = ("id", "examples", "staleness", "digest", "size_bytes", "accepted_at")
        return {**{name: getattr(row, name) for name in same}, "participant": row.membership.participant.name}


class UpdateOut(HandedInOut):
    metrics: dict[str, float]

    @classmethod
    def of(cls, row: Update) -> Self:
        return cls(**cls._fields(row), metrics=row.metrics)


class ReceiptOut(HandedInOut):
    round: int

    @classmethod
    def of(cls, row: Update) -> Self:
        return cls(**cls._fields(row), round=row.task_round)


class ScoreOut(Out):
    checkpoint: int
    participant: str | None
    examples: float
    metrics: dict[str, float]
    reported_at: datetime

    @classmethod
    def of(cls, row: Score) -> Self:
        return cls(
            checkpoint=row.checkpoint.number,
            participant=row.membership.participant.name if row.membership else None,
            examples=row.examples,
            metrics=row.metrics,
            reported_at=row.reported_at,
        )
