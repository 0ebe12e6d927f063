"""Rounds move here and nowhere else: whoever changed something asks ``advance`` what follows from it.

Callers hold the project's lock, in the transaction of their own change.
"""

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache

import structlog
from django.db import transaction

from foedus.core.course import SCORES, UPDATES
from foedus.core.registry import load, names
from foedus.core.rounds import (
    Combine,
    Decision,
    Invalidate,
    Invite,
    Phase,
    Reason,
    Wait,
    move,
    next_step,
)
from foedus.ports import Ports
from foedus.records.learning.changes import add_round, check_again, close_tasks, store_end
from foedus.records.learning.counting import rounds_before
from foedus.records.learning.models import Checkpoint, Invitation, Project, Round
from foedus.records.learning.people import first_with_tasks
from foedus.records.learning.queries import (
    find_latest_checkpoint,
    find_newest_round,
    find_open_round,
    lock_project,
)
from foedus.services.learning.equipment import keeps_state
from foedus.services.learning.invitations import close_others, invite, mark_absent
from foedus.services.learning.looking import Look
from foedus.services.learning.measuring import awaited_evaluation, promise_evaluation, reason_to_stop
from foedus.services.learning.retaining import promise_retention
from foedus.services.learning.rules import policy_of
from foedus.services.learning.waiting import reason_json
from foedus.services.shell.events import emit
from foedus.services.shell.jobs import enqueue

log = structlog.get_logger()

COMBINE_JOB = "combine"
_CLOSELY = Look()
_MAX_STEPS = 8  # of one call: more would mean a policy that goes in circles; the next tick goes on


def advance(
    ports: Ports, project: Project, now: datetime, *, look: Look = _CLOSELY, current: Round | None = None
) -> None:
    """Take every step that is due. ``look`` says what need not be counted anew.

    ``current`` is the open round, from a caller that has read it in this transaction.
    """
    for _ in range(_MAX_STEPS):
        if project.state != Project.State.RUNNING:
            _check_again(project, None)
            return
        current = current or find_open_round(project)
        if current is None and awaited_evaluation(project) is not None:
            _check_again(project, None)  # the job that looks at the checkpoint goes on from here
            return
        current = current or open_round(ports, project, now)
        policy = policy_of(current)
        if look.absences and mark_absent(ports, project, current, policy, now):
            look = _CLOSELY
        view = look.at(project, current, policy, now)
        decision = next_step(policy, view, now)
        if isinstance(decision, Wait):
            if look.absences:
                _check_again(project, decision.until)
            return
        _apply(ports, project, current, decision, now)
        if isinstance(decision, Combine):
            _check_again(project, None)  # nothing but the new model moves it now
            return
        current = None
        look = Look.after_invitation(view, decision) if isinstance(decision, Invite) else _CLOSELY
    log.warning("round.unsettled", project=project.key)
    _check_again(project, now)


def close_complete(ports: Ports, project: Project, current: Round, checkpoint: Checkpoint, now: datetime) -> None:
    """The second half of combine-then-switch: the checkpoint is stored; close the round and go on."""
    current.checkpoint = checkpoint
    _close(current, Phase.COMPLETE, now)
    emit(ports, project, "checkpoint.published", now, checkpoint=checkpoint.number, digest=checkpoint.digest)
    emit(
        ports, project, "round.complete", now,
        round=current.number, checkpoint=checkpoint.number, metrics=current.metrics,
    )  # fmt: skip
    _follow(ports, project, current, now)
    promise_evaluation(ports, project, checkpoint, now)
    promise_retention(ports, project, now)
    rounds = policy_of(project).rounds
    if rounds is not None and rounds_before(project, current)[0] + 1 >= rounds:
        text = f"All {rounds} rounds are complete."
        finish(ports, project, Reason("rounds_complete", text, {"rounds": rounds}), now)
    elif project.state == Project.State.RUNNING:
        _judge(ports, project, checkpoint, now)
    advance(ports, project, now)


def close_invalid(
    ports: Ports, project: Project, current: Round, reason: Reason, now: datetime, *, give_up: bool = False
) -> None:
    """Close a round without a new model; its successor starts from the same checkpoint."""
    current.reason = reason_json(reason)
    _close(current, Phase.INVALID, now)
    emit(ports, project, "round.invalid", now, round=current.number, reason=reason_json(reason))
    if give_up:
        project.finish_reason = reason_json(reason)
        _set_state(ports, project, Project.State.PAUSED, now)
    _follow(ports, project, current, now)


def finish(ports: Ports, project: Project, reason: Reason, now: datetime) -> None:
    """End the project; its checkpoints stay."""
    project.finish_reason = reason_json(reason)
    _set_state(ports, project, Project.State.FINISHED, now)


def stop_early(ports: Ports, project: Project, reason: Reason, now: datetime) -> None:
    """End the project before its rounds are over. A round that is being combined still brings its checkpoint."""
    finish(ports, project, reason, now)
    current = find_open_round(project)
    if current is not None and current.state is not Phase.COMBINING:
        close_invalid(ports, project, current, reason, now)


def _judge(ports: Ports, project: Project, checkpoint: Checkpoint, now: datetime) -> None:
    """Stop early by what participants measured. Scores of the newest checkpoint have yet to come."""
    reason = reason_to_stop(project, UPDATES) or reason_to_stop(project, SCORES, before=checkpoint.number)
    if reason is not None:
        stop_early(ports, project, reason, now)


def run(ports: Ports, project: Project, now: datetime) -> None:
    """Let a project's rounds begin, or go on; patience begins anew."""
    project.finish_reason = None
    latest = find_latest_checkpoint(project)
    project.patience_from = latest.number if latest is not None else 0
    project.save(update_fields=["patience_from"])
    _set_state(ports, project, Project.State.RUNNING, now)
    advance(ports, project, now)


def pause(ports: Ports, project: Project, now: datetime) -> None:
    """Stand still; what is under way may still be handed in."""
    project.finish_reason = None
    _set_state(ports, project, Project.State.PAUSED, now)


def _follow(ports: Ports, project: Project, current: Round, now: datetime) -> None:
    """A dialect that keeps rows of its own brings them up to date in the transaction that closes a round."""
    follower = _follower(project.face)
    if follower is not None:
        follower(ports, project, current, now=now)


@lru_cache
def _follower(face: str) -> Callable[..., None] | None:
    group = "foedus.followers"
    return load(group, face) if face in names(group) else None


def _apply(ports: Ports, project: Project, current: Round, decision: Decision, now: datetime) -> None:
    match decision:
        case Invite():
            invite(ports, project, current, decision, now)
        case Combine():
            _start_combining(ports, project, current, now)
        case Invalidate(reason=reason, give_up=give_up):
            close_invalid(ports, project, current, reason, now, give_up=give_up)


def open_round(ports: Ports, project: Project, now: datetime) -> Round:
    """The project's next round, from its latest checkpoint. There must be one, and no open round."""
    newest = find_newest_round(project)
    completed, invalid = _before(project, newest)
    base = find_latest_checkpoint(project)
    assert base is not None, "a project runs only once it has a model"  # noqa: S101
    opened = add_round(
        project=project,
        number=newest.number + 1 if newest else 1,
        base=base,
        policy=project.policy,
        strategy=project.strategy,
        settings=project.settings,
        opened_at=now,
        completed_before=completed,
        invalid_before=invalid,
        tasks_from=first_with_tasks(project, newest),
    )
    close_others(project, opened, policy_of(opened), base.number, opened.tasks_from or 0, now)
    emit(
        ports, project, "round.opened", now,
        round=opened.number, checkpoint=base.number,
        policy=project.policy["name"], strategy=project.strategy["name"],
    )  # fmt: skip
    if newest is not None:
        _tell_strategy(ports, opened, newest.strategy["name"], now)
    return opened


def adopt_rules(ports: Ports, project: Project, now: datetime) -> None:
    """Take the project's present rules over into an open round that has not begun; others keep theirs to their end."""
    current = find_open_round(project)
    if current is None or current.state is not Phase.WAITING or current.updates.exists():
        return
    before = current.strategy["name"]
    current.policy, current.strategy, current.settings = project.policy, project.strategy, project.settings
    current.save(update_fields=["policy", "strategy", "settings"])
    _tell_strategy(ports, current, before, now)
    latest = find_latest_checkpoint(project)
    assert latest is not None, "rounds have a base"  # noqa: S101
    close_others(project, current, policy_of(current), latest.number, current.tasks_from or 0, now)
    advance(ports, project, now)


def _tell_strategy(ports: Ports, current: Round, before: str, now: datetime) -> None:
    """Another strategy than before begins with the model as it is, and with no memory unless it made that model."""
    name = current.strategy["name"]
    if name != before:
        emit(
            ports, current.project, "strategy.changed", now,
            round=current.number, checkpoint=current.base.number, before=before, strategy=name,
            goes_on=keeps_state(current.base, name),
        )  # fmt: skip


def end_task(ports: Ports, participant_id: int, found: Project, task_round: int, now: datetime) -> None:
    """A task whose update would come too late is over, so that its participant can be given another one."""
    with transaction.atomic():
        project = lock_project(found.pk)
        ended = Invitation.objects.filter(
            membership__participant_id=participant_id,
            round__project=project,
            round__number=task_round,
            state=Invitation.State.OPEN,
        ).update(state=Invitation.State.CLOSED, closed_at=now)
        if ended:
            advance(ports, project, now)


def _before(project: Project, newest: Round | None) -> tuple[int, int]:
    """For the round after ``newest``: how many are complete, and how many just before it are invalid."""
    if newest is None:
        return 0, 0
    completed, invalid = rounds_before(project, newest)
    return (completed + 1, 0) if newest.state is Phase.COMPLETE else (completed, invalid + 1)


def _start_combining(ports: Ports, project: Project, current: Round, now: datetime) -> None:
    current.phase = move(current.state, Phase.COMBINING)
    current.save(update_fields=["phase"])
    if not policy_of(current).open_ended:
        close_tasks(current, now)
    subject = f"{project.pk}/{current.number}"
    enqueue(ports, COMBINE_JOB, subject, now, project=project.pk, round=current.pk, face=project.face)
    emit(ports, project, "round.combining", now, round=current.number, updates=current.updates.count())


def _close(current: Round, phase: Phase, now: datetime) -> None:
    current.phase = move(current.state, phase)
    current.closed_at = now
    store_end(current)
    if not policy_of(current).open_ended:
        close_tasks(current, now)


def _set_state(ports: Ports, project: Project, state: Project.State, now: datetime) -> None:
    project.state = state
    project.next_check_at = None
    project.save(update_fields=["state", "next_check_at", "finish_reason"])
    emit(ports, project, f"project.{state}", now, reason=project.finish_reason)


def _check_again(project: Project, at: datetime | None) -> None:
    if project.next_check_at != at:
        check_again(project, at)
