"""The changes that every update brings about, by name: written once (see ``prepared``)."""

from datetime import datetime
from typing import Any

from foedus.records.learning.models import Invitation, Membership, Project, Round, Update
from foedus.records.prepared import PreparedInsert, PreparedUpdate, Slot

_event_seq = PreparedUpdate(lambda: (Project.objects.filter(pk=Slot("pk")), {"event_seq": Slot("seq")}))
_next_check = PreparedUpdate(lambda: (Project.objects.filter(pk=Slot("pk")), {"next_check_at": Slot("at")}))
_seen = PreparedUpdate(lambda: (Membership.objects.filter(pk=Slot("pk")), {"seen_at": Slot("at")}))
_reported = PreparedUpdate(
    lambda: (
        Invitation.objects.filter(pk=Slot("pk")),
        {"state": Invitation.State.REPORTED, "closed_at": Slot("at")},
    )
)
_COUNTS = ("member_count", "invited_count", "lost_count", "reported_count", "update_count")
_counts = PreparedUpdate(lambda: (Round.objects.filter(pk=Slot("pk")), {name: Slot(name) for name in _COUNTS}))
_add_update = PreparedInsert(Update)


def count_event(project: Project) -> int:
    """The number of the project's next event, whose caller holds the lock."""
    project.event_seq += 1
    _event_seq(pk=project.pk, seq=project.event_seq)
    return project.event_seq


def check_again(project: Project, at: datetime | None) -> None:
    """When time alone may move the project; None: never."""
    project.next_check_at = at
    _next_check(pk=project.pk, at=at)


def note_seen(membership: Membership, at: datetime) -> None:
    """The member gave a sign of life."""
    _seen(pk=membership.pk, at=at)
    membership.seen_at = at


def note_reported(invitation: Invitation, at: datetime) -> None:
    """The member did what it was asked."""
    _reported(pk=invitation.pk, at=at)
    invitation.state, invitation.closed_at = Invitation.State.REPORTED, at


def store_counts(current: Round) -> None:
    """Keep what was counted of a round."""
    _counts(pk=current.pk, **{name: getattr(current, name) for name in _COUNTS})


def add_update(**fields: Any) -> Update:
    """A new row. Raises IntegrityError where there is one of that member, round and sequence."""
    return _add_update(**fields)
