"""What a participant should do now; and its signs of life."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from foedus.core.errors import Conflict, Late, NotFound, PlatformError, Unavailable
from foedus.core.rounds import Phase, Reason
from foedus.ports import Ports
from foedus.records.durability import unsynced
from foedus.records.learning.changes import note_alive, note_seen
from foedus.records.learning.models import Checkpoint, Invitation, Membership, Project, Round
from foedus.records.learning.queries import (
    find_active,
    find_latest_checkpoint,
    find_open_invitation,
    find_open_round,
    find_project,
    get_membership,
    get_project,
    has_scored,
    lock_project,
    rounds_of_tasks,
)
from foedus.services.learning.admission import admission
from foedus.services.learning.equipment import Equipment, equipment_of
from foedus.services.learning.invitations import give_up_invitation
from foedus.services.learning.measuring import find_model
from foedus.services.learning.rounds import advance, end_task
from foedus.services.learning.rules import policy_of
from foedus.services.learning.waiting import reasons_of
from foedus.services.shell.authorisation import Actor, Verb, membership_of, require

# A sign of life is written when the last one is older than this share of the time-out: often enough to be believed,
# seldom enough that waiting participants cost next to nothing.
_SIGNS_PER_TIMEOUT = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Train:
    round: Round
    checkpoint: Checkpoint
    evaluate: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluate:
    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    checkpoint: Checkpoint | None
    reasons: tuple[Reason, ...]


Task = Train | Evaluate | Idle | Finished


@dataclass(frozen=True, slots=True)
class Answer:
    """A task, with what the participant needs to know to do it."""

    project: Project
    task: Task
    heartbeat_s: float
    membership: Membership
    equipment: Equipment | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """One who asked, was told to wait by ``answer``, and waits."""

    actor: Actor
    key: str
    evaluates: bool
    answer: Answer


def next_task(ports: Ports, actor: Actor, key: str, *, evaluates: bool, now: datetime, explain: bool = True) -> Answer:
    """The participant's task; asking is a sign of life, after which it can be invited. Raises NotFound.

    Without ``explain``, ``Idle`` has no reasons: to count what a project waits for costs more than all the rest.
    """
    membership = membership_of(actor, Verb.WORK, key)
    project = membership.project
    timeout_s = policy_of(project).absent_after_s
    if membership.evaluates != evaluates:
        Membership.objects.filter(pk=membership.pk).update(evaluates=evaluates)
        membership.evaluates = evaluates
    if _sign(ports, project, membership, timeout_s, now):
        project.refresh_from_db()
    task = _task(project, membership, now, explain=explain)
    equipment = equipment_of(ports, task.round) if isinstance(task, Train) else None
    return Answer(project, task, _heartbeat_s(timeout_s), membership, equipment)


def next_tasks(ports: Ports, waiting: Sequence[Waiting], *, now: datetime) -> list[Answer | Exception]:
    """What those who waited for something to happen should do now: ``next_task`` without reasons, for many at once.

    When a round begins, all its participants ask: so what they share is read once. Errors are in their asker's place.
    """
    answers: dict[int, Answer | Exception] = {}
    for key in {one.key for one in waiting}:
        places = [at for at, one in enumerate(waiting) if one.key == key]
        answers.update(zip(places, _next_of_project(ports, key, [waiting[at] for at in places], now), strict=True))
    return [answers[at] for at in range(len(waiting))]


def _next_of_project(ports: Ports, key: str, waiting: list[Waiting], now: datetime) -> Iterator[Answer | Exception]:
    """Those who have a task in a round under way are told so; whatever else there is, each has to ask for."""
    project = find_project(key)
    keys = [one.answer.membership.pk for one in waiting]
    members = find_active(project, keys) if project is not None else {}
    rounds = rounds_of_tasks(keys) if project is not None and project.state == Project.State.RUNNING else {}
    equipment = {pk: equipment_of(ports, found) for pk, found in {r.pk: r for r in rounds.values()}.items()}
    for one in waiting:
        member = members.get(one.answer.membership.pk)
        task = rounds.get(one.answer.membership.pk)
        if member is None or task is None or not _still_wanted(task) or not _is_fresh(member, one, now):
            yield _asked(ports, one, now)
        else:
            due = evaluation_due(member.project, member, task.base)
            train = Train(round=task, checkpoint=task.base, evaluate=due)
            yield Answer(member.project, train, one.answer.heartbeat_s, member, equipment[task.pk])


def _is_fresh(member: Membership, one: Waiting, now: datetime) -> bool:
    """Whether there is nothing to be written of a member: it gave a sign of life, and can do what it could."""
    quiet = timedelta(seconds=one.answer.heartbeat_s)
    return member.evaluates == one.evaluates and member.seen_at is not None and abs(now - member.seen_at) < quiet


def _asked(ports: Ports, one: Waiting, now: datetime) -> Answer | Exception:
    try:
        return next_task(ports, one.actor, one.key, evaluates=one.evaluates, explain=False, now=now)
    except Exception as exc:  # noqa: BLE001 - its asker is told, and the others go on
        return exc


def still_here(answer: Answer, *, now: datetime) -> bool:
    """A sign of life of one who waits for something else than ``answer``, at the least cost.

    False when the answer may be another one by now: the participant was removed, or away for so long that it counts as
    absent.
    """
    membership = answer.membership
    if membership.seen_at is None or now - membership.seen_at >= timedelta(
        seconds=answer.heartbeat_s * _SIGNS_PER_TIMEOUT
    ):
        return False
    with unsynced():
        return note_alive(membership, now)


def heartbeat(ports: Ports, actor: Actor, key: str, round_number: int | None, *, now: datetime) -> bool:
    """A sign of life while training; whether an update of that task would still be counted."""
    membership = membership_of(actor, Verb.WORK, key)
    project = membership.project
    _sign(ports, project, membership, policy_of(project).absent_after_s, now)
    if round_number is None:
        return False
    if Invitation.objects.filter(
        membership=membership,
        round__number=round_number,
        round__phase=Phase.COLLECTING,
        state__in=(Invitation.State.OPEN, Invitation.State.LOST),
    ).exists():
        return True
    try:  # its round is over, but there may be one that takes what is late
        admission(project, membership, round_number, now)
    except Unavailable:  # a new checkpoint is just being made; the update goes to the round after it
        return True
    except Late:
        end_task(ports, actor.id, project, round_number, now)
        return False
    except PlatformError:
        return False
    return True


def decline(ports: Ports, actor: Actor, key: str, round_number: int, reason: str, *, now: datetime) -> None:
    """The participant cannot do its task: the round stops waiting for it. Repeating this does nothing."""
    found = get_project(key)
    require(actor, Verb.WORK, found)
    with transaction.atomic():
        project = lock_project(found.pk)
        membership = get_membership(project, actor.id)
        invitation = (
            Invitation.objects.filter(membership=membership, round__number=round_number)
            .select_related("round", "membership__participant")
            .first()
        )
        if invitation is None:
            raise NotFound(f"you are not invited to round {round_number}", round=round_number)
        if invitation.state == Invitation.State.REPORTED:
            raise Conflict("your update for this round was accepted already", round=round_number)
        if invitation.state in (Invitation.State.OPEN, Invitation.State.LOST):
            give_up_invitation(ports, project, invitation, reason, now)
            advance(ports, project, now)


def evaluation_due(project: Project, membership: Membership, checkpoint: Checkpoint | None) -> bool:
    """Whether the project wants this member's score of the checkpoint and does not have it."""
    if checkpoint is None or not project.evaluate_every or not membership.evaluates:
        return False
    wanted = checkpoint.number % project.evaluate_every == 0 or project.state == Project.State.FINISHED
    return wanted and not has_scored(checkpoint, membership)


def _task(project: Project, membership: Membership, now: datetime, *, explain: bool) -> Task:
    invitation = find_open_invitation(membership) if project.state == Project.State.RUNNING else None
    if invitation is not None and _still_wanted(invitation.round):
        base = invitation.round.base
        return Train(round=invitation.round, checkpoint=base, evaluate=evaluation_due(project, membership, base))
    if (current := _round_for_all(project, membership)) is not None:
        return Train(round=current, checkpoint=current.base, evaluate=evaluation_due(project, membership, current.base))
    latest = (
        find_latest_checkpoint(project) if project.evaluate_every or project.state == Project.State.FINISHED else None
    )
    if latest is not None and evaluation_due(project, membership, latest):
        return Evaluate(checkpoint=latest)
    if not explain and project.state != Project.State.FINISHED:
        return Idle(reasons=())
    reasons = reasons_of(project, now, named=False)  # a participant asks
    if project.state == Project.State.FINISHED:
        return Finished(checkpoint=find_model(project), reasons=reasons)
    if membership.obstacle:
        reasons = (Reason("not_ready", f"You are not ready: {membership.obstacle}."), *reasons)
    return Idle(reasons=reasons)


def _round_for_all(project: Project, membership: Membership) -> Round | None:
    """The open round, where members train without being invited, until this one has handed in its update."""
    if project.state != Project.State.RUNNING or policy_of(project).invites:
        return None
    current = find_open_round(project)
    if current is None or current.state is Phase.COMBINING:
        return None
    return None if current.updates.filter(membership=membership).exists() else current


def _still_wanted(task: Round) -> bool:
    """Whether an update for this round would count; open-ended policies count late ones towards a later round."""
    return task.state is Phase.COLLECTING or policy_of(task).open_ended


def _sign(ports: Ports, project: Project, membership: Membership, timeout_s: float, now: datetime) -> bool:
    """Note a sign of life; True when it moved the project, because the participant had been absent."""
    last = membership.seen_at
    silence = None if last is None else abs(now - last)  # a sign of the future: the clock was set back
    if silence is not None and silence < timedelta(seconds=_heartbeat_s(timeout_s)):
        return False
    absent = silence is None or silence >= timedelta(seconds=timeout_s)
    if not absent:
        with unsynced():
            note_seen(membership, now)
        return False
    with transaction.atomic():
        locked = lock_project(project.pk)
        note_seen(membership, now)
        advance(ports, locked, now)
    return True


def _heartbeat_s(timeout_s: float) -> float:
    return timeout_s / _SIGNS_PER_TIMEOUT
