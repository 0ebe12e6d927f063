"""Who there is, and what they may prove themselves with."""

from datetime import datetime
from typing import Any, Literal, Self

from foedus.faces.native.answers.base import Out, ReasonOut
from foedus.records.accounts.models import Credential
from foedus.services.learning.enrolment import Enrolled
from foedus.services.learning.reading import MemberStatus
from foedus.services.learning.reading import Self as Description


class ServiceOut(Out):
    service: str
    version: str
    documentation: str


class SelfOut(Out):
    kind: Literal["operator", "participant"]
    name: str
    organisation: str | None
    projects: list[str]

    @classmethod
    def of(cls, found: Description) -> Self:
        kind: Literal["operator", "participant"] = "participant" if found.actor.kind == "participant" else "operator"
        return cls(kind=kind, name=found.actor.name, organisation=found.organisation, projects=found.projects)


class KeyOut(Out):
    key: str
    name: str
    expires_at: datetime


class KeysOut(Out):
    items: list[KeyOut]


class ParticipantOut(Out):
    id: int
    name: str


class MemberOut(Out):
    id: int
    name: str
    state: str
    joined_at: datetime
    seen_at: datetime | None
    waiting_for: ReasonOut | None

    @classmethod
    def of(cls, status: MemberStatus) -> Self:
        row = status.membership
        return cls(
            id=row.participant_id,
            name=row.participant.name,
            state=row.state,
            joined_at=row.joined_at,
            seen_at=row.seen_at,
            waiting_for=ReasonOut.of(status.waiting_for) if status.waiting_for else None,
        )


class EnrolledOut(Out):
    participant: ParticipantOut
    project: str
    token: str | None

    @classmethod
    def of(cls, enrolled: Enrolled) -> Self:
        who = ParticipantOut(id=enrolled.participant.pk, name=enrolled.participant.name)
        return cls(participant=who, project=enrolled.project.key, token=enrolled.token or None)


class CredentialOut(Out):
    id: int
    name: str
    operator: str
    created_at: datetime
    expires_at: datetime | None

    @classmethod
    def of(cls, row: Credential) -> Self:
        operator = row.user.get_username() if row.user else ""
        same = ("id", "name", "created_at", "expires_at")
        return cls(**{name: getattr(row, name) for name in same}, operator=operator)


class IssuedOut(Out):
    id: int
    name: str
    token: str
    expires_at: datetime | None


class AuditOut(Out):
    id: int
    at: datetime
    actor: str
    verb: str
    object: str
    details: dict[str, Any]
