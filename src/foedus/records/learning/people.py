"""The members of a project as its policies see them: who could be invited, and who is waited for.

Every question begins with what is few: with the tasks that are open, or with those seen lately. A project may have a
hundred thousand members who were never seen, and ten thousand rounds that are long over.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, FilteredRelation, Min, Q, QuerySet

from foedus.core.rounds import Candidate, Policy
from foedus.records.learning.models import Invitation, Membership, Project, Round, Update
from foedus.records.prepared import Many, Prepared, PreparedRows
from foedus.records.statements import Slot

_PENDING_SHOWN = 5


def _open_tasks() -> QuerySet[Invitation]:
    """``since`` is the number of a round before which there are none."""
    return Invitation.objects.filter(
        round__project=Slot("project"), round__number__gte=Slot("since"), state=Invitation.State.OPEN
    )


# What every look at a round asks: written once (see ``prepared``).
_tasks = PreparedRows(lambda: _open_tasks().values("round__project").annotate(tasks=Count("pk")).values_list("tasks"))
_seen_longest_ago = PreparedRows(
    lambda: _open_tasks().values("round__project").annotate(at=Min("membership__seen_at")).values_list("at")
)
_first_round = PreparedRows(
    lambda: _open_tasks().values("round__project").annotate(first=Min("round__number")).values_list("first")
)
_FEW = 64  # invitations, of which it costs less to ask by member than to read all that ended


def _ended() -> QuerySet[Invitation]:
    return Invitation.objects.filter(round=Slot("round")).exclude(
        state__in=(Invitation.State.OPEN, Invitation.State.REPORTED)
    )


_ended_tasks = PreparedRows(lambda: _ended().values_list("membership_id", "state"))
_ended_tasks_of = Many(
    lambda keys: PreparedRows(lambda: _ended().filter(membership__pk__in=keys).values_list("membership_id", "state"))
)
_silent = Prepared(
    lambda: (
        _open_tasks().filter(membership__seen_at__lte=Slot("cutoff")).select_related("membership__participant", "round")
    )
)
_with_a_task = PreparedRows(
    lambda: (
        _open_tasks()
        .filter(membership__state=Membership.State.ACTIVE)
        .order_by("membership__seen_at", "membership_id")
        .values_list("membership_id", "membership__participant__name", "membership__seen_at")[:_PENDING_SHOWN]
    )
)
_without_an_update = PreparedRows(
    lambda: (
        Membership.objects.filter(project=Slot("project"), state=Membership.State.ACTIVE)
        .exclude(pk__in=Update.objects.filter(round=Slot("round")).values("membership_id"))
        .order_by("seen_at", "pk")
        .values_list("pk", "participant__name", "seen_at")[:_PENDING_SHOWN]
    )
)


def _ready(*ended: str, **only: Slot) -> PreparedRows:
    return PreparedRows(
        lambda: (
            Membership.objects.filter(
                project=Slot("project"), state=Membership.State.ACTIVE, seen_at__gt=Slot("cutoff"), **only
            )
            .exclude(pk__in=_open_tasks().values("membership_id"))
            .exclude(pk__in=Invitation.objects.filter(round=Slot("round"), state__in=ended).values("membership_id"))
            .order_by("pk")
            .values_list("pk", "participant__name", "seen_at", "obstacle")
        )
    )


_ready_for_more = _ready(Invitation.State.REPORTED)
_ready_once = _ready(Invitation.State.REPORTED, Invitation.State.DECLINED)
_is_ready_for_more = _ready(Invitation.State.REPORTED, pk=Slot("member"))


_standings = Many(
    lambda keys: PreparedRows(
        lambda: (
            Membership.objects.filter(pk__in=keys, state=Membership.State.ACTIVE)
            .annotate(
                asked=FilteredRelation("invitations", condition=Q(invitations__round=Slot("round"))),
                told=FilteredRelation("updates", condition=Q(updates__task_round=Slot("number"))),
            )
            .values_list("pk", "asked__pk", "asked__state", "told__pk")
        )
    )
)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a member stands in a round: its invitation, what became of that, and its update; primary keys.

    Of several updates of one member, any: for rounds whose policy takes one.
    """

    invitation: int | None
    state: str | None
    update: int | None


def candidates(project: Project, current: Round, policy: Policy, now: datetime) -> tuple[Candidate, ...]:
    """Members seen lately that hold no open invitation and have not reported to, or declined, this round.

    Open-ended policies ask those anew who declined. Nobody does the same task twice: what came of it could not be told
    from a repetition of the first update.
    """
    ready = _ready_for_more if policy.open_ended else _ready_once
    return _as_candidates(ready(**_asked(project, current, policy, now)))


def candidate_anew(
    project: Project, current: Round, policy: Policy, author: Membership | None, now: datetime
) -> tuple[Candidate, ...]:
    """Who can be invited because an update of ``author`` was accepted: he himself, or nobody.

    He can, where it was made for an earlier round than the one that counts it.
    """
    if author is None or not policy.open_ended:
        return ()
    return _as_candidates(_is_ready_for_more(member=author.pk, **_asked(project, current, policy, now)))


def standings(current: Round | None, memberships: Sequence[int]) -> dict[int, Standing]:
    """How those of these members that are active stand in the round, if there is one; by the membership's key."""
    calls = _standings.calls(memberships)
    where = {"round": current and current.pk, "number": current and current.number}
    return {pk: Standing(*rest) for question, named in calls for pk, *rest in question(**where, **named)}


def in_flight(project: Project, current: Round) -> int:
    """How many tasks are open."""
    rows: list[tuple[int]] = _tasks(project=project.pk, since=current.tasks_from or 0)
    return rows[0][0] if rows else 0


def absent_invitations(project: Project, current: Round, cutoff: datetime) -> list[Invitation]:
    """Open tasks of members that gave no sign of life since ``cutoff``."""
    return _silent.all(project=project.pk, since=current.tasks_from or 0, cutoff=cutoff)


def invited_before(current: Round, members: Sequence[int]) -> dict[int, str]:
    """Which of these members, who have no task now, were invited to this round already, and what became of that.

    Who handed in is not among them: nobody is asked twice for the same update.
    """
    if len(members) <= _FEW:
        calls = _ended_tasks_of.calls(members)
        return dict(row for ask, keys in calls for row in ask(round=current.pk, **keys))
    wanted = set(members)
    return {member: state for member, state in _ended_tasks(round=current.pk) if member in wanted}


def first_with_tasks(project: Project, newest: Round | None) -> int:
    """For the round after ``newest``: the number of the first one that has open tasks, be it that very round."""
    if newest is None:
        return 1
    rows: list[tuple[int]] = _first_round(project=project.pk, since=newest.tasks_from or 0)
    return rows[0][0] if rows else newest.number + 1


def pending(project: Project, current: Round, policy: Policy) -> tuple[Candidate, ...]:
    """Some of those that have a task or, where nobody is given one, of those without an update in this round."""
    if policy.invites:
        rows = _with_a_task(project=project.pk, since=current.tasks_from or 0)
    else:
        rows = _without_an_update(project=project.pk, round=current.pk)
    return tuple(Candidate(str(pk), name, seen_at) for pk, name, seen_at in rows)


def first_seen(project: Project, current: Round) -> datetime | None:
    """When that member with a task gave a sign of life that is silent for the longest time."""
    rows: list[tuple[datetime | None]] = _seen_longest_ago(project=project.pk, since=current.tasks_from or 0)
    return rows[0][0] if rows else None


def _asked(project: Project, current: Round, policy: Policy, now: datetime) -> dict[str, Any]:
    cutoff = now - timedelta(seconds=policy.absent_after_s)
    return {"project": project.pk, "since": current.tasks_from or 0, "round": current.pk, "cutoff": cutoff}


def _as_candidates(rows: list[tuple[Any, ...]]) -> tuple[Candidate, ...]:
    return tuple(Candidate(str(pk), name, seen_at, obstacle) for pk, name, seen_at, obstacle in rows)
