"""Every question that services ask of the learning engine's tables, by name."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.db.models import Count, OuterRef, QuerySet, Subquery

from foedus.core.errors import NotFound
from foedus.records.learning.models import (
    OPEN_PHASES,
    Checkpoint,
    Invitation,
    Membership,
    Project,
    Round,
    Update,
)
from foedus.records.prepared import Many, Prepared, PreparedRows
from foedus.records.statements import Slot

# What every call of a participant asks: written once (see ``prepared``).
_project_by_key = Prepared(lambda: Project.objects.filter(key=Slot("key")))
_round_to_combine = Prepared(lambda: Round.objects.filter(pk=Slot("pk")).select_related("project", "base"))
_updates_of_round = Prepared(lambda: Update.objects.filter(round=Slot("round")).order_by("pk"))
_locked_project = Prepared(lambda: Project.objects.filter(pk=Slot("pk")).select_for_update())
_open_round = Prepared(
    lambda: Round.objects.filter(project=Slot("project"), phase__in=OPEN_PHASES).select_related("base")[:1]
)
_open_strategy = PreparedRows(
    lambda: Round.objects.filter(project=Slot("project"), phase__in=OPEN_PHASES).values_list("strategy")[:1]
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
_active_memberships = Many(
    lambda keys: Prepared(
        lambda: Membership.objects.filter(
            project=Slot("project"), participant__pk__in=keys, state=Membership.State.ACTIVE
        ).select_related("participant")
    )
)
_tasks_of = Many(
    lambda keys: PreparedRows(
        lambda: Invitation.objects.filter(membership__pk__in=keys, state=Invitation.State.OPEN).values_list(
            "membership_id", "round_id"
        )
    )
)
_still_active = Many(
    lambda keys: PreparedRows(
        lambda: Membership.objects.filter(pk__in=keys, state=Membership.State.ACTIVE).values_list("pk")
    )
)
_contents_of = Many(lambda keys: PreparedRows(lambda: Update.objects.filter(pk__in=keys).values_list("pk", "content")))


def find_project(key: str) -> Project | None:
    """The project, unlocked: for reading."""
    return _project_by_key.first(key=key)


def get_project(key: str) -> Project:
    """The same. Raises NotFound."""
    found = find_project(key)
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


def strategy_now(project: Project) -> Mapping[str, Any]:
    """The strategy of the open round; between rounds, of the next one."""
    rows = _open_strategy(project=project.pk)
    found: Mapping[str, Any] = rows[0][0] if rows else project.strategy
    return found


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


def find_memberships(key: str, participants: Sequence[int]) -> dict[int, Membership]:
    """The active memberships of these participants, by participant, all with the same project."""
    if len(participants) == 1:  # one question instead of two
        found = find_membership(key, participants[0])
        return {} if found is None else {participants[0]: found}
    project = find_project(key) if participants else None
    if project is None:
        return {}
    members = {}
    for question, named in _active_memberships.calls(participants):
        for row in question.all(project=project.pk, **named):
            row.project = project
            members[row.participant_id] = row
    return members


def rounds_of_tasks(memberships: Sequence[int]) -> dict[int, Round]:
    """The round of the task of each of these members that has one, by the membership's primary key."""
    if len(memberships) == 1:  # one question instead of two
        task = _open_invitation.first(membership=memberships[0])
        return {} if task is None else {memberships[0]: task.round}
    tasks = {pk: number for question, named in _tasks_of.calls(memberships) for pk, number in question(**named)}
    rounds = {pk: find_round(pk) for pk in set(tasks.values())}
    return {member: found for member, pk in tasks.items() if (found := rounds[pk]) is not None}


def still_active(memberships: Sequence[int]) -> set[int]:
    """Which of these memberships are active now, by primary key."""
    return {pk for question, named in _still_active.calls(memberships) for (pk,) in question(**named)}


def contents_of(updates: Sequence[Update]) -> Iterator[tuple[int, bytes]]:
    """The bodies of updates that are kept in their rows, by primary key, some at a time."""
    for question, named in _contents_of.calls([update.pk for update in updates]):
        yield from ((pk, bytes(content)) for pk, content in question(**named) if content is not None)


def active_memberships(project: Project) -> QuerySet[Membership]:
    return Membership.objects.filter(project=project, state=Membership.State.ACTIVE)


def find_invitation(membership: Membership, number: int) -> Invitation | None:
    """What the member was asked in the round of that number, whatever became of it."""
    return _invitation_to.first(membership=membership.pk, number=number)


def find_newest_update(membership: Membership, number: int) -> Update | None:
    """The last update of the member for a task of the round of that number."""
    return _newest_update.first(membership=membership.pk, number=number)


def find_update_of_content(membership: Membership, number: int, digest: str) -> Update | None:
    """The member's update of that digest for a task of the round of that number."""
    return _update_of_content.first(membership=membership.pk, number=number, digest=digest)


def find_round(pk: int) -> Round | None:
    """The round, with its project and the checkpoint that it began from."""
    return _round_to_combine.first(pk=pk)


def updates_of(current: Round) -> list[Update]:
    """What the round counts, in the order of arrival."""
    return _updates_of_round.all(round=current.pk)


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
