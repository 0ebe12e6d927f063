"""Every question that services ask of the learning engine's tables, by name."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Max, Min, OuterRef, Q, QuerySet, Subquery

from foedus.core.errors import NotFound
from foedus.core.rounds import Candidate, Phase, Policy, RoundView
from foedus.records.learning.models import (
    OPEN_PHASES,
    Checkpoint,
    Invitation,
    Membership,
    Project,
    Round,
    Update,
)
from foedus.records.prepared import Prepared, Slot

_PENDING_SHOWN = 5

# What every call of a participant asks: written once (see ``prepared``).
_project_by_key = Prepared(lambda: Project.objects.filter(key=Slot("key")))
_locked_project = Prepared(lambda: Project.objects.filter(pk=Slot("pk")).select_for_update())
_open_round = Prepared(
    lambda: Round.objects.filter(project=Slot("project"), phase__in=OPEN_PHASES).select_related("base")[:1]
)
_newest_round = Prepared(
    lambda: Round.objects.filter(project=Slot("project")).select_related("base", "checkpoint").order_by("-number")[:1]
)
_round_by_number = Prepared(
    lambda: Round.objects.filter(project=Slot("project"), number=Slot("number")).select_related("base", "checkpoint")
)
_latest_checkpoint = Prepared(lambda: Checkpoint.objects.filter(project=Slot("project")).order_by("-number")[:1])
_checkpoint_by_number = Prepared(lambda: Checkpoint.objects.filter(project=Slot("project"), number=Slot("number")))
_active_membership = Prepared(
    lambda: Membership.objects.filter(
        project=Slot("project"), participant=Slot("participant"), state=Membership.State.ACTIVE
    ).select_related("participant")
)
_membership_by_key = Prepared(
    lambda: Membership.objects.filter(
        project__key=Slot("key"), participant=Slot("participant"), state=Membership.State.ACTIVE
    ).select_related("participant", "project")
)
_open_invitation = Prepared(
    lambda: Invitation.objects.filter(membership=Slot("membership"), state=Invitation.State.OPEN).select_related(
        "round__base"
    )[:1]
)
_invitation_to = Prepared(
    lambda: Invitation.objects.filter(membership=Slot("membership"), round__number=Slot("number")).select_related(
        "round__base"
    )[:1]
)
_newest_update = Prepared(
    lambda: Update.objects.filter(membership=Slot("membership"), task_round=Slot("number")).order_by("-sequence")[:1]
)
_update_of_content = Prepared(
    lambda: Update.objects.filter(
        membership=Slot("membership"), task_round=Slot("number"), digest=Slot("digest")
    ).order_by("pk")[:1]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundCounts:
    """What a round holds; the words are those of ``RoundView``."""

    invited: int = 0
    lost: int = 0
    reported: int = 0
    updates: int = 0


def get_project(key: str) -> Project:
    """The project, unlocked: for reading. Raises NotFound."""
    found = _project_by_key.first(key=key)
    if found is None:
        raise NotFound(f"there is no project {key!r}", project=key)
    return found


def lock_project(pk: int) -> Project:
    """The project's row, locked until the transaction ends. Raises NotFound."""
    found = _locked_project.first(pk=pk)
    if found is None:
        raise NotFound("this project is gone")
    return found


def find_open_round(project: Project) -> Round | None:
    return _open_round.first(project=project.pk)


def find_newest_round(project: Project) -> Round | None:
    return _newest_round.first(project=project.pk)


def get_round(project: Project, number: int) -> Round:
    """Raises NotFound."""
    found = _round_by_number.first(project=project.pk, number=number)
    if found is None:
        raise NotFound(f"project {project.key!r} has no round {number}", round=number)
    return found


def find_latest_checkpoint(project: Project) -> Checkpoint | None:
    return _latest_checkpoint.first(project=project.pk)


def get_checkpoint(project: Project, number: int | None) -> Checkpoint:
    """The checkpoint of that number, or the latest for None. Raises NotFound."""
    found = (
        _latest_checkpoint.first(project=project.pk)
        if number is None
        else _checkpoint_by_number.first(project=project.pk, number=number)
    )
    if found is None:
        name = "checkpoint yet" if number is None else f"checkpoint {number}"
        raise NotFound(f"project {project.key!r} has no {name}", checkpoint=number)
    return found


def get_membership(project: Project, participant_id: int) -> Membership:
    """The participant's active membership. Raises NotFound."""
    found = find_active_membership(project, participant_id)
    if found is None:
        raise NotFound(f"you are not a participant of project {project.key!r}", project=project.key)
    return found


def find_active_membership(project: Project, participant_id: int) -> Membership | None:
    return _active_membership.first(project=project.pk, participant=participant_id)


def find_membership(key: str, participant_id: int) -> Membership | None:
    """The participant's active membership of the project called ``key``; both are there with it."""
    return _membership_by_key.first(key=key, participant=participant_id)


def active_memberships(project: Project) -> QuerySet[Membership]:
    return Membership.objects.filter(project=project, state=Membership.State.ACTIVE)


def find_open_invitation(membership: Membership) -> Invitation | None:
    """The task that the member has now, if any."""
    return _open_invitation.first(membership=membership.pk)


def find_invitation(membership: Membership, number: int) -> Invitation | None:
    """What the member was asked in the round of that number, whatever became of it."""
    return _invitation_to.first(membership=membership.pk, number=number)


def find_newest_update(membership: Membership, number: int) -> Update | None:
    """The last update of the member for a task of the round of that number."""
    return _newest_update.first(membership=membership.pk, number=number)


def find_update_of_content(membership: Membership, number: int, digest: str) -> Update | None:
    """The member's update of that digest for a task of the round of that number."""
    return _update_of_content.first(membership=membership.pk, number=number, digest=digest)


def absent_invitations(project: Project, cutoff: datetime) -> QuerySet[Invitation]:
    """Open invitations of members that gave no sign of life since ``cutoff``."""
    return Invitation.objects.filter(
        round__project=project, state=Invitation.State.OPEN, membership__seen_at__lte=cutoff
    ).select_related("membership__participant", "round")


def candidates(project: Project, current: Round, policy: Policy, now: datetime) -> tuple[Candidate, ...]:
    """Members seen lately that hold no open invitation and have not reported to, or declined, this round."""
    cutoff = now - timedelta(seconds=policy.absent_after_s)
    busy = Invitation.objects.filter(round__project=project, state=Invitation.State.OPEN).values("membership_id")
    done = Invitation.objects.filter(
        round=current, state__in=(Invitation.State.REPORTED, Invitation.State.DECLINED)
    ).values("membership_id")
    rows = (
        active_memberships(project)
        .filter(seen_at__gt=cutoff)
        .exclude(pk__in=busy)
        .values_list("pk", "participant__name", "seen_at", "obstacle")
        .order_by("pk")
    )
    if not policy.open_ended:
        rows = rows.exclude(pk__in=done)
    return tuple(Candidate(str(pk), name, seen_at, obstacle) for pk, name, seen_at, obstacle in rows)


def round_view(project: Project, current: Round, policy: Policy, now: datetime, *, absences: bool = True) -> RoundView:
    """What the policy may know. ``absences=False`` leaves out who is pending since when: updates do not change it."""
    invitations = Invitation.objects.filter(round=current).aggregate(
        invited=Count("pk"),
        reported=Count("pk", filter=Q(state=Invitation.State.REPORTED)),
        lost=Count("pk", filter=Q(state__in=(Invitation.State.LOST, Invitation.State.DECLINED))),
    )
    updates = Update.objects.filter(round=current).aggregate(n=Count("pk"), members=Count("membership", distinct=True))
    open_tasks = Invitation.objects.filter(round__project=project, state=Invitation.State.OPEN)
    completed, latest_complete = _completed(project, current)
    may_invite = current.state is Phase.WAITING or invitations["lost"] > 0 or policy.open_ended
    return RoundView(
        number=current.number,
        phase=current.state,
        opened_at=current.opened_at,
        started_at=current.started_at,
        deadline_at=current.deadline_at,
        needed=current.needed,
        registered=active_memberships(project).count(),
        candidates=candidates(project, current, policy, now) if may_invite else (),
        invited=invitations["invited"],
        lost=invitations["lost"],
        in_flight=open_tasks.count() if policy.open_ended else 0,
        reported=updates["members"],
        updates=updates["n"],
        covered=_covered(project, current) if policy.open_ended else 0,
        pending=_pending(project, current, policy) if absences else (),
        pending_seen_at=open_tasks.aggregate(at=Min("membership__seen_at"))["at"] if absences else None,
        completed=completed,
        invalid_streak=_invalid_since(project, latest_complete, current),
        seed=project.seed,
    )


def round_counts(rounds: Sequence[Round]) -> dict[int, RoundCounts]:
    """The counts of these rounds by primary key, in two queries however many there are."""
    pks = [r.pk for r in rounds]
    lost = Q(state__in=(Invitation.State.LOST, Invitation.State.DECLINED))
    invitations = {
        row["round"]: row
        for row in Invitation.objects.filter(round__in=pks)
        .values("round")
        .annotate(invited=Count("pk"), lost=Count("pk", filter=lost))
    }
    updates = {
        row["round"]: row
        for row in Update.objects.filter(round__in=pks)
        .values("round")
        .annotate(updates=Count("pk"), reported=Count("membership", distinct=True))
    }
    nobody, nothing = {"invited": 0, "lost": 0}, {"updates": 0, "reported": 0}
    return {
        pk: RoundCounts(
            invited=invitations.get(pk, nobody)["invited"],
            lost=invitations.get(pk, nobody)["lost"],
            reported=updates.get(pk, nothing)["reported"],
            updates=updates.get(pk, nothing)["updates"],
        )
        for pk in pks
    }


def newest_rounds(projects: Sequence[Project]) -> dict[int, Round]:
    """The newest round of each project that has one, by the project's primary key."""
    newest = Round.objects.filter(project=OuterRef("pk")).order_by("-number").values("pk")[:1]
    pks = Project.objects.filter(pk__in=[p.pk for p in projects]).values_list(Subquery(newest), flat=True)
    rows = Round.objects.filter(pk__in=[pk for pk in pks if pk is not None]).select_related("base", "checkpoint")
    return {row.project_id: row for row in rows}


def newest_checkpoints(projects: Sequence[Project]) -> dict[int, Checkpoint]:
    """The latest checkpoint of each project that has one, by the project's primary key."""
    newest = Checkpoint.objects.filter(project=OuterRef("pk")).order_by("-number").values("pk")[:1]
    pks = Project.objects.filter(pk__in=[p.pk for p in projects]).values_list(Subquery(newest), flat=True)
    rows = Checkpoint.objects.filter(pk__in=[pk for pk in pks if pk is not None])
    return {row.project_id: row for row in rows}


def member_counts(projects: Sequence[Project]) -> dict[int, int]:
    """How many active members each project has; projects without are left out."""
    rows = (
        Membership.objects.filter(project__in=[p.pk for p in projects], state=Membership.State.ACTIVE)
        .values("project")
        .annotate(members=Count("pk"))
    )
    return {row["project"]: row["members"] for row in rows}


def open_invitations(memberships: Sequence[Membership]) -> dict[int, Invitation]:
    """The task of each of these members that has one, by the membership's primary key."""
    rows = Invitation.objects.filter(
        membership__in=[m.pk for m in memberships], state=Invitation.State.OPEN
    ).select_related("round")
    return {row.membership_id: row for row in rows}


def has_scored(checkpoint: Checkpoint, membership: Membership) -> bool:
    return checkpoint.scores.filter(membership=membership).exists()


def _covered(project: Project, current: Round) -> int:
    return active_memberships(project).filter(updates__round=current).distinct().count()


def _pending(project: Project, current: Round, policy: Policy) -> tuple[Candidate, ...]:
    """Some of those that have a task or, where nobody is given one, of those without an update in this round."""
    if policy.invites:
        waited_for = active_memberships(project).filter(
            invitations__round__project=project, invitations__state=Invitation.State.OPEN
        )
    else:
        waited_for = active_memberships(project).exclude(updates__round=current)
    rows = waited_for.order_by("seen_at", "pk").values_list("pk", "participant__name", "seen_at")[:_PENDING_SHOWN]
    return tuple(Candidate(str(pk), name, seen_at) for pk, name, seen_at in rows)


def _completed(project: Project, current: Round) -> tuple[int, int]:
    """How many rounds are complete, and the number of the latest of them before ``current`` (0: none)."""
    is_complete = Q(phase=Phase.COMPLETE)
    found = Round.objects.filter(project=project).aggregate(
        completed=Count("pk", filter=is_complete),
        latest=Max("number", filter=is_complete & Q(number__lt=current.number)),
    )
    return found["completed"], found["latest"] or 0


def _invalid_since(project: Project, number: int, current: Round) -> int:
    """How many rounds between the two are invalid."""
    if number + 1 == current.number:
        return 0
    between = Round.objects.filter(project=project, number__gt=number, number__lt=current.number)
    return between.filter(phase=Phase.INVALID).count()
