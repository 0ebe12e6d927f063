"""Who was asked to train for a round, and how that was decided."""

from datetime import datetime
from typing import Self

from foedus.faces.native.answers.base import Out
from foedus.records.learning.models import Invitation
from foedus.services.learning.reading import DrawStatus


class InvitationOut(Out):
    id: int
    participant_id: int
    participant: str
    state: str
    note: str
    invited_at: datetime
    closed_at: datetime | None

    @classmethod
    def of(cls, row: Invitation) -> Self:
        who = row.membership.participant
        same = ("id", "state", "note", "invited_at", "closed_at")
        return cls(**{name: getattr(row, name) for name in same}, participant_id=who.pk, participant=who.name)


class DrawOut(Out):
    """Drawn were ``sorted(random.Random(seed).sample(range(len(pool)), len(positions)))``, places in ``pool``."""

    id: int
    at: datetime
    seed: str
    pool: list[int | None]
    positions: list[int]

    @classmethod
    def of(cls, status: DrawStatus) -> Self:
        draw = status.draw
        return cls(id=draw.pk, at=draw.at, seed=draw.seed, pool=status.pool, positions=draw.positions)
