"""What a participant should do now; and its signs of life."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from django.db import transaction

from foedus.core.errors import Conflict, Late, NotFound, PlatformError, Unavailable
from foedus.core.rounds import Phase, Reason
from foedus.ports import Ports
from foedus.records.durability import unsynced
from foedus.records.learning.changes import note_alive, note_all_seen, note_evaluates
from foedus.records.learning.counting import may_have_tasks
from foedus.records.learning.models import Checkpoint, Invitation, Membership, Project, Round
from foedus.records.learning.queries import (
    find_latest_checkpoint,
    find_open_round,
    get_membership,
    get_project,
    has_scored,
    lock_project,
    rounds_of_tasks,
)
from foedus.services.learning.admission import admission
from foedus.services.learning.equipment import Equipment, equipment_of
from foedus.services.learning.invitations import give_up_invitation
from foedus.services.learning.looking import Look
from foedus.services.learning.measuring import find_model
from foedus.services.learning.returning import take_back_refusals
from foedus.services.learning.rounds import advance, end_task
from foedus.services.learning.rules import policy_of
from foedus.services.learning.waiting import reasons_of
from foedus.services.shell.authorisation import Actor, Verb, membership_of, memberships_of, require
from foedus.services.shell.groups import in_groups

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
class Asking:
    """Who asks for work in a project. Without ``explain``, ``Idle`` has no reasons: that costs more than the rest.

    ``anew`` says that the participant has just started: it takes back that it declined the open round.
    """

    actor: Actor
    key: str
    evaluates: bool
    explain: bool = True
    anew: bool = False


def next_task(ports: Ports, actor: Actor, key: str, *, evaluates: bool, now: datetime, explain: bool = True) -> Answer:
    """The participant's task; asking is a sign of life, after which it can be invited. Raises NotFound."""
    (answer,) = next_tasks(ports, [Asking(actor, key, evaluates, explain)], now=now)
    if isinstance(answer, Exception):
        raise answer
    return answer


def next_tasks(ports: Ports, asking: Sequence[Asking], *, now: datetime) -> list[Answer | Exception]:
    """The same for many at once: when a round begins, all its participants ask, and what they share is read once."""
    return in_groups(asking, lambda one: one.key, lambda key, some: _next_of_project(ports, key, some, now))


def _next_of_project(
    ports: Ports, key: str, asking: Sequence[Asking], now: datetime
) -> Iterator[Answer | PlatformError]:
    members = memberships_of([one.actor for one in asking], Verb.WORK, key)
    known = [member for member in members if isinstance(member, Membership)]
    if not known:
        return (member for member in members if isinstance(member, PlatformError))
    project = known[0].project
    for one, member in zip(asking, members, strict=True):
        if isinstance(member, Membership) and member.evaluates != one.evaluates:
            note_evaluates(member, evaluates=one.evaluates)
    current = find_open_round(project)
    moved = _sign(ports, project, current, known, now)
    begun = [member for one, member in zip(asking, members, strict=True) if one.anew and isinstance(member, Membership)]
    if take_back_refusals(ports, project, begun, now) or moved:
        project.refresh_from_db()
        current = find_open_round(project)
    board = _Board(ports, project, current, now)
    tasked = project.state == Project.State.RUNNING and (current is None or may_have_tasks(current))
    rounds = rounds_of_tasks([member.pk for member in known]) if tasked else {}
    return (
        board.answer(member, rounds.get(member.pk), explain=one.explain) if isinstance(member, Membership) else member
        for one, member in zip(asking, members, strict=True)
    )


def still_here(answers: Sequence[Answer], *, now: datetime) -> list[bool]:
    """Signs of life of those who wait for something else than their answers, at the least cost.

    False where the answer may be another one by now: the participant was removed, or away for so long that it counts
    as absent.
    """
    there = [each.membership for each in answers if _is_present(each, now)]
    if not there:
        return [False] * len(answers)
    with unsynced():
        active = note_alive(there, now)
    return [each.membership.pk in active for each in answers]


def _is_present(answer: Answer, now: datetime) -> bool:
    seen_at = answer.membership.seen_at
    return seen_at is not None and now - seen_at < timedelta(seconds=answer.heartbeat_s * _SIGNS_PER_TIMEOUT)


def heartbeat(ports: Ports, actor: Actor, key: str, round_number: int | None, *, now: datetime) -> bool:
    """A sign of life while training; whether an update of that task would still be counted."""
    membership = membership_of(actor, Verb.WORK, key)
    project = membership.project
    current = find_open_round(project)
    if _sign(ports, project, current, [membership], now):
        current = find_open_round(project)
    if round_number is None:
        return False
    if current is not None and current.number == round_number and current.state is Phase.COLLECTING:
        asked = Invitation.objects.filter(membership=membership, round=current)
        if asked.filter(state__in=(Invitation.State.OPEN, Invitation.State.LOST)).exists():
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


def _sign(ports: Ports, project: Project, current: Round | None, members: Sequence[Membership], now: datetime) -> bool:
    """Note signs of life. Who had been absent can be invited again, which may move the project: whether it did."""
    timeout = timedelta(seconds=_patience_s(project, current))
    quiet = [
        (member, silence) for member in members if (silence := _silence(member, now)) >= timeout / _SIGNS_PER_TIMEOUT
    ]
    if not quiet:
        return False
    if all(silence < timeout for _, silence in quiet):
        with unsynced():
            note_all_seen([member for member, _ in quiet], now)
        return False
    with transaction.atomic():
        locked = lock_project(project.pk)
        note_all_seen([member for member, _ in quiet], now)
        advance(ports, locked, now, look=Look.after_sign())
    return True


def _patience_s(project: Project, current: Round | None) -> float:
    """Silence that makes a member absent. A round that began by other rules than the next one will keeps them."""
    patience_s = policy_of(project).absent_after_s
    return patience_s if current is None else min(patience_s, policy_of(current).absent_after_s)


def _silence(member: Membership, now: datetime) -> timedelta:
    """Since the last sign of life. One from the future was written before the clock was set back."""
    return timedelta.max if member.seen_at is None else abs(now - member.seen_at)


class _Board:
    """Where those of a project who ask at the same time find their tasks; what they share is read when first needed."""

    def __init__(self, ports: Ports, project: Project, current: Round | None, now: datetime) -> None:
        self._ports, self._project, self._current, self._now = ports, project, current, now
        self._is_running = project.state == Project.State.RUNNING
        self._is_finished = project.state == Project.State.FINISHED
        self._heartbeat_s = _patience_s(project, current) / _SIGNS_PER_TIMEOUT
        self._equipment: dict[int, Equipment] = {}

    def answer(self, member: Membership, invited_to: Round | None, *, explain: bool) -> Answer:
        """What a member that was invited to this round, or to none, should do."""
        task = self._task(member, invited_to, explain=explain)
        equipment = self._equipment_of(task.round) if isinstance(task, Train) else None
        return Answer(self._project, task, self._heartbeat_s, member, equipment)

    def _task(self, member: Membership, invited_to: Round | None, *, explain: bool) -> Task:
        current = invited_to if invited_to is not None and _still_wanted(invited_to) else self._round_for_all(member)
        if current is not None:
            due = evaluation_due(self._project, member, current.base)
            return Train(round=current, checkpoint=current.base, evaluate=due)
        if self._latest is not None and evaluation_due(self._project, member, self._latest):
            return Evaluate(checkpoint=self._latest)
        if self._is_finished:
            return Finished(checkpoint=self._model, reasons=self._reasons)
        if not explain:
            return Idle(reasons=())
        if member.obstacle:
            return Idle(reasons=(Reason("not_ready", f"You are not ready: {member.obstacle}."), *self._reasons))
        return Idle(reasons=self._reasons)

    def _round_for_all(self, member: Membership) -> Round | None:
        """The open round, where members train without being invited, until this one has handed in its update."""
        current = self._current
        if not self._is_running or current is None or current.state is Phase.COMBINING or policy_of(current).invites:
            return None
        return None if current.updates.filter(membership=member).exists() else current

    def _equipment_of(self, current: Round) -> Equipment:
        if current.pk not in self._equipment:
            self._equipment[current.pk] = equipment_of(self._ports, current)
        return self._equipment[current.pk]

    @cached_property
    def _latest(self) -> Checkpoint | None:
        """The latest checkpoint, where scores of it may be wanted."""
        return find_latest_checkpoint(self._project) if self._project.evaluate_every or self._is_finished else None

    @cached_property
    def _model(self) -> Checkpoint | None:
        return find_model(self._project)

    @cached_property
    def _reasons(self) -> tuple[Reason, ...]:
        return reasons_of(self._project, self._now, named=False)  # a participant asks


def evaluation_due(project: Project, membership: Membership, checkpoint: Checkpoint | None) -> bool:
    """Whether the project wants this member's score of the checkpoint and does not have it."""
    if checkpoint is None or not project.evaluate_every or not membership.evaluates:
        return False
    wanted = checkpoint.number % project.evaluate_every == 0 or project.state == Project.State.FINISHED
    return wanted and not has_scored(checkpoint, membership)


def _still_wanted(task: Round) -> bool:
    """Whether an update for this round would count; open-ended policies count late ones towards a later round."""
    return task.state is Phase.COLLECTING or policy_of(task).open_ended
