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
from foedus.records.learning.changes import check_again, close_tasks, store_end, store_phase
from foedus.records.learning.counting import Tally, keep_tally, rounds_before
from foedus.records.learning.models import Checkpoint, Invitation, Project, Round
from foedus.records.learning.queries import (
    find_latest_checkpoint,
    find_open_round,
    lock_project,
)
from foedus.services.learning.invitations import close_others, invite, mark_absent
from foedus.services.learning.looking import Look
from foedus.services.learning.measuring import awaited_evaluation, promise_evaluation, reason_to_stop
from foedus.services.learning.opening import open_round, tell_strategy
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
    ports: Ports,
    project: Project,
    now: datetime,
    *,
    look: Look = _CLOSELY,
    current: Round | None = None,
    closed: Round | None = None,
    foreseen: Wait | None = None,
) -> None:
    """Take every step that is due. ``look`` says what need not be counted anew.

    ``current`` is the open round, from a caller that has read it in this transaction, and ``foreseen`` its next step
    where that caller has asked the policy; ``closed`` the newest one, from a caller that has just closed it.
    """
    sought_absent = False
    for _ in range(_MAX_STEPS):
        if project.state == Project.State.RUNNING and current is None:
            current, look = _open_round(ports, project, look, closed, now)
        if project.state != Project.State.RUNNING or current is None:  # the job that looks at its model goes on then
            _check_again(project, None)
            return
        if foreseen is not None:
            _wait(project, look, foreseen)
            return
        policy = policy_of(current)
        if look.absences and not sought_absent:
            sought_absent = True  # whoever is invited below was seen lately
            if mark_absent(ports, project, current, policy, now):
                look = _CLOSELY
        view, tally = look.at(project, current, policy, now)
        decision = next_step(policy, view, now)
        _apply(ports, project, current, decision, tally, now)
        if isinstance(decision, Wait):
            _wait(project, look, decision)
            return
        if isinstance(decision, Combine):
            _check_again(project, None)
            return
        if isinstance(decision, Invite):
            look = Look.after_invitation(look, view, decision)
        else:
            closed, current, look = _newest(project, current), None, _CLOSELY
    log.warning("round.unsettled", project=project.key)
    _check_again(project, now)


def _open_round(
    ports: Ports, project: Project, look: Look, closed: Round | None, now: datetime
) -> tuple[Round | None, Look]:
    """The open round, be it a new one, and how to look at it; None while a checkpoint has to be evaluated first."""
    found = find_open_round(project) if closed is None else None
    if found is not None:
        return found, look
    if awaited_evaluation(project) is not None:
        return None, look
    return open_round(ports, project, now, closed=closed), Look.at_opening()


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
    advance(ports, project, now, closed=_newest(project, current))


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


def _newest(project: Project, closed: Round) -> Round | None:
    """The round that was just closed, where none can be newer: a dialect's rows may have opened the next one."""
    return closed if _follower(project.face) is None else None


@lru_cache
def _follower(face: str) -> Callable[..., None] | None:
    group = "foedus.followers"
    return load(group, face) if face in names(group) else None


def _apply(ports: Ports, project: Project, current: Round, decision: Decision, tally: Tally, now: datetime) -> None:
    if isinstance(decision, Invite):
        invite(ports, project, current, decision, tally, now)
        return
    keep_tally(current, tally)
    if isinstance(decision, Combine):
        _start_combining(ports, project, current, tally.updates, now)
    elif isinstance(decision, Invalidate):
        close_invalid(ports, project, current, decision.reason, now, give_up=decision.give_up)


def adopt_rules(ports: Ports, project: Project, now: datetime) -> None:
    """Take the project's present rules over into an open round that has not begun; others keep theirs to their end."""
    current = find_open_round(project)
    if current is None or current.state is not Phase.WAITING or current.updates.exists():
        return
    current.project = project  # who counts the events
    before = current.strategy["name"]
    current.policy, current.strategy, current.settings = project.policy, project.strategy, project.settings
    current.save(update_fields=["policy", "strategy", "settings"])
    tell_strategy(ports, current, before, now)
    latest = find_latest_checkpoint(project)
    assert latest is not None, "rounds have a base"  # noqa: S101
    close_others(project, current, policy_of(current), latest.number, current.tasks_from or 0, now)
    advance(ports, project, now)


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


def _start_combining(ports: Ports, project: Project, current: Round, updates: int, now: datetime) -> None:
    current.phase = move(current.state, Phase.COMBINING)
    store_phase(current)
    if not policy_of(current).open_ended:
        close_tasks(current, now)
    subject = f"{project.pk}/{current.number}"
    enqueue(ports, COMBINE_JOB, subject, now, project=project.pk, round=current.pk, face=project.face)
    emit(ports, project, "round.combining", now, round=current.number, updates=updates)


def _close(current: Round, phase: Phase, now: datetime) -> None:
    has_tasks = current.state is not Phase.COMBINING and not policy_of(current).open_ended  # then they are closed
    current.phase = move(current.state, phase)
    current.closed_at = now
    store_end(current)
    if has_tasks:
        close_tasks(current, now)


def _set_state(ports: Ports, project: Project, state: Project.State, now: datetime) -> None:
    project.state = state
    project.next_check_at = None
    project.save(update_fields=["state", "next_check_at", "finish_reason"])
    emit(ports, project, f"project.{state}", now, reason=project.finish_reason)


def _wait(project: Project, look: Look, decision: Wait) -> None:
    """Whoever does not look at absences cannot tell that nothing is due before ``decision`` says."""
    if look.absences or _is_sooner(decision.until, project.next_check_at):
        _check_again(project, decision.until)


def _is_sooner(at: datetime | None, planned: datetime | None) -> bool:
    return at is not None and (planned is None or at < planned)


def _check_again(project: Project, at: datetime | None) -> None:
    if project.next_check_at != at:
        check_again(project, at)
