"""The changes that every update brings about, by name: written once (see ``prepared``)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from foedus.records.learning.models import Checkpoint, Invitation, Membership, Project, Round, Update
from foedus.records.learning.queries import still_active
from foedus.records.prepared import Many, PreparedInsert, PreparedInserts, PreparedUpdate
from foedus.records.statements import Slot

_event_seq = PreparedUpdate(lambda: (Project.objects.filter(pk=Slot("pk")), {"event_seq": Slot("seq")}))
_next_check = PreparedUpdate(lambda: (Project.objects.filter(pk=Slot("pk")), {"next_check_at": Slot("at")}))
_seen = PreparedUpdate(lambda: (Membership.objects.filter(pk=Slot("pk")), {"seen_at": Slot("at")}))
_alive = Many(
    lambda keys: PreparedUpdate(
        lambda: (Membership.objects.filter(pk__in=keys, state=Membership.State.ACTIVE), {"seen_at": Slot("at")})
    )
)
_reported = PreparedUpdate(
    lambda: (
        Invitation.objects.filter(pk=Slot("pk")),
        {"state": Invitation.State.REPORTED, "closed_at": Slot("at")},
    )
)
_seen_all = Many(lambda keys: PreparedUpdate(lambda: (Membership.objects.filter(pk__in=keys), {"seen_at": Slot("at")})))
_reported_all = Many(
    lambda keys: PreparedUpdate(
        lambda: (
            Invitation.objects.filter(pk__in=keys),
            {"state": Invitation.State.REPORTED, "closed_at": Slot("at")},
        )
    )
)
_COUNTS = ("member_count", "invited_count", "lost_count", "reported_count", "update_count", "ready_count")
_counts = PreparedUpdate(lambda: (Round.objects.filter(pk=Slot("pk")), {name: Slot(name) for name in _COUNTS}))
_add_update = PreparedInsert(Update)
_add_checkpoint = PreparedInsert(Checkpoint)
_add_round = PreparedInsert(Round)
_add_invitations = PreparedInserts(Invitation, "membership_id")
_ENDING = ("phase", "closed_at", "checkpoint", "reason", "metrics")
_end_round = PreparedUpdate(lambda: (Round.objects.filter(pk=Slot("pk")), {name: Slot(name) for name in _ENDING}))
_BEGINNING = ("phase", "started_at", "deadline_at", "needed", *_COUNTS)
_phase = PreparedUpdate(lambda: (Round.objects.filter(pk=Slot("pk")), {"phase": Slot("phase")}))
_begin_round = PreparedUpdate(lambda: (Round.objects.filter(pk=Slot("pk")), {name: Slot(name) for name in _BEGINNING}))
_close_tasks = PreparedUpdate(
    lambda: (
        Invitation.objects.filter(round=Slot("round"), state=Invitation.State.OPEN),
        {"state": Invitation.State.CLOSED, "closed_at": Slot("at")},
    )
)


def count_events(project: Project, number: int) -> range:
    """The numbers of the project's next events, whose caller holds the lock."""
    first = project.event_seq + 1
    project.event_seq += number
    _event_seq(pk=project.pk, seq=project.event_seq)
    return range(first, first + number)


def check_again(project: Project, at: datetime | None) -> None:
    """When time alone may move the project; None: never."""
    project.next_check_at = at
    _next_check(pk=project.pk, at=at)


def note_seen(membership: Membership, at: datetime) -> None:
    """The member gave a sign of life."""
    _seen(pk=membership.pk, at=at)
    membership.seen_at = at


def note_alive(memberships: Sequence[Membership], at: datetime) -> set[int]:
    """The same of several that may have been removed meanwhile; the primary keys of those that were not."""
    keys = list({membership.pk for membership in memberships})
    changed = sum(change(at=at, **named) for change, named in _alive.calls(keys))
    for membership in memberships:
        membership.seen_at = at
    return set(keys) if changed == len(keys) else still_active(keys)


def note_evaluates(membership: Membership, *, evaluates: bool) -> None:
    """Whether the member can evaluate, too."""
    Membership.objects.filter(pk=membership.pk).update(evaluates=evaluates)
    membership.evaluates = evaluates


def note_reported(invitation: Invitation, at: datetime) -> None:
    """The member did what it was asked."""
    _reported(pk=invitation.pk, at=at)
    invitation.state, invitation.closed_at = Invitation.State.REPORTED, at


def note_all_seen(memberships: Sequence[Membership], at: datetime) -> None:
    """These members gave a sign of life."""
    for change, named in _seen_all.calls([membership.pk for membership in memberships]):
        change(at=at, **named)
    for membership in memberships:
        membership.seen_at = at


def note_all_reported(invitations: Sequence[int], at: datetime) -> None:
    """The members with invitations of these keys did what they were asked."""
    for change, named in _reported_all.calls(invitations):
        change(at=at, **named)


def store_counts(current: Round) -> None:
    """Keep what was counted of a round."""
    _counts(pk=current.pk, **{name: getattr(current, name) for name in _COUNTS})


def add_update(**fields: Any) -> Update:
    """A new row. Raises IntegrityError where there is one of that member, round and sequence."""
    return _add_update(**fields)


def insert_update(row: Update) -> None:
    """The same for an instance."""
    _add_update.insert(row)


def add_checkpoint(**fields: Any) -> Checkpoint:
    """A new row."""
    return _add_checkpoint(**fields)


def add_round(**fields: Any) -> Round:
    """A new row. Raises IntegrityError where there is an open one."""
    return _add_round(**fields)


def add_invitations(members: Sequence[int], **fields: Any) -> None:
    """A new row for each of these members. Raises IntegrityError where there is one of that member and round."""
    _add_invitations([(member,) for member in members], **fields)


def store_phase(current: Round) -> None:
    """Keep where a round stands."""
    _phase(pk=current.pk, phase=current.phase)


def store_beginning(current: Round) -> None:
    """Keep that a round has begun to collect, with what it needs, until when, and what was counted of it."""
    _begin_round(pk=current.pk, **{name: getattr(current, name) for name in _BEGINNING})


def store_end(current: Round) -> None:
    """Keep how a round ended."""
    _end_round(
        pk=current.pk, **{name: getattr(current, "checkpoint_id" if name == "checkpoint" else name) for name in _ENDING}
    )


def close_tasks(current: Round, at: datetime) -> int:
    """Nobody need do what is still open of a round; how many tasks that were."""
    return _close_tasks(round=current.pk, at=at)
