"""Rounds move here and nowhere else: whoever changed something asks ``advance`` what follows from it.

Callers hold the project's lock, in the transaction of their own change.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import structlog

from foedus.core.registry import build, load, names
from foedus.core.rounds import (
    Combine,
    Decision,
    Invalidate,
    Invite,
    Phase,
    Policy,
    Reason,
    RoundView,
    Wait,
    move,
    next_step,
)
from foedus.ports import Ports
from foedus.records.learning.models import Checkpoint, Invitation, Project, Round
from foedus.records.learning.queries import (
    absent_invitations,
    find_latest_checkpoint,
    find_newest_round,
    find_open_round,
    round_view,
)
from foedus.services.shell.events import emit
from foedus.services.shell.jobs import enqueue

log = structlog.get_logger()

NATIVE = "native"
COMBINE_JOB = "combine"
_MAX_STEPS = 8  # of one call: more would mean a policy that goes in circles; the next tick goes on


def policy_of(current: Round | Project) -> Policy:
    """The policy that a round was opened under (or that a project's next round will be)."""
    policy: Policy = built("foedus.policies", current.policy)
    return policy


def built(group: str, rule: Mapping[str, Any]) -> Any:
    """The strategy or policy that ``{"name", "options"}`` describes. They are frozen, so one serves everybody."""
    return _built(group, rule["name"], json.dumps(rule.get("options", {}), sort_keys=True))


@lru_cache(maxsize=512)
def _built(group: str, name: str, options: str) -> Any:
    return build(group, name, json.loads(options))


def advance(
    ports: Ports, project: Project, now: datetime, *, absences: bool = True, current: Round | None = None
) -> None:
    """Take every step that is due. ``absences=False`` after an update: it brings nobody back and loses nobody.

    ``current`` is the open round, from a caller that has read it in this transaction.
    """
    for _ in range(_MAX_STEPS):
        if project.state != Project.State.RUNNING:
            _check_again(project, None)
            return
        current = current or find_open_round(project) or open_round(ports, project, now)
        policy = policy_of(current)
        if absences:
            _mark_absent(ports, project, policy, now)
        decision = next_step(policy, round_view(project, current, policy, now, absences=absences), now)
        if isinstance(decision, Wait):
            if absences:
                _check_again(project, decision.until)
            return
        _apply(ports, project, current, decision, now)
        if isinstance(decision, Combine):
            _check_again(project, None)  # nothing but the new model moves it now
            return
        current = None
        absences = True  # whoever was invited just now may vanish: the next look must say when to look again
    log.warning("round.unsettled", project=project.key)
    _check_again(project, now)


def reasons_of(project: Project, now: datetime, *, named: bool = True) -> tuple[Reason, ...]:
    """What a project waits for, or why it stands still; by name only for those who may inspect. Changes nothing."""
    match project.state:
        case Project.State.DRAFT:
            return (Reason("no_model", "The project waits for its initial model."),)
        case Project.State.PAUSED:
            return (_kept_reason(project.finish_reason) or Reason("paused", "An operator paused the project."),)
        case Project.State.FINISHED:
            return (_kept_reason(project.finish_reason) or Reason("finished", "The project is finished."),)
    current = find_open_round(project)
    if current is None:
        return (Reason("between_rounds", "The next round is about to be opened."),)
    return reasons_of_round(project, current, now, named=named)


def reasons_of_round(project: Project, current: Round, now: datetime, *, named: bool = True) -> tuple[Reason, ...]:
    """What a round waits for, or how it ended; by name only for those who may inspect. Changes nothing."""
    if current.state is Phase.COMPLETE:  # the machine would say so too, once everything was counted
        return (Reason("round_over", f"Round {current.number} is complete."),)
    if current.state is Phase.INVALID:
        return (_kept_reason(current.reason) or Reason("invalid", f"Round {current.number} is invalid."),)
    if project.state == Project.State.PAUSED and current.state.is_open:
        return reasons_of(project, now, named=named)
    policy = policy_of(current)
    view = round_view(project, current, policy, now)
    decision = next_step(policy, view if named else _unnamed(view), now)
    if isinstance(decision, Wait):
        return decision.reasons
    return (Reason("due", f"Round {current.number} is about to move on."),)


def _unnamed(view: RoundView) -> RoundView:
    """The view for one participant's eyes: who the others are and when they were seen is not for it to know.

    Policies cannot tell what they do not get; what they decide rests on keys and counts, which stay.
    """
    hidden = tuple(replace(c, name="another participant") for c in view.candidates)
    return replace(view, candidates=hidden, pending=())


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
    rounds = policy_of(project).rounds
    completed = Round.objects.filter(project=project, phase=Phase.COMPLETE).count()
    if rounds is not None and completed >= rounds:
        text = f"All {rounds} rounds are complete."
        finish(ports, project, Reason("rounds_complete", text, {"rounds": rounds}), now)
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


def run(ports: Ports, project: Project, now: datetime) -> None:
    """Let a project's rounds begin, or go on."""
    project.finish_reason = None
    _set_state(ports, project, Project.State.RUNNING, now)
    advance(ports, project, now)


def pause(ports: Ports, project: Project, now: datetime) -> None:
    """Stand still; what is under way may still be handed in."""
    project.finish_reason = None
    _set_state(ports, project, Project.State.PAUSED, now)


def give_up_invitation(ports: Ports, project: Project, invitation: Invitation, note: str, now: datetime) -> None:
    """Stop waiting for a member's update."""
    invitation.state = Invitation.State.DECLINED
    invitation.note = note[:200]
    invitation.closed_at = now
    invitation.save(update_fields=["state", "note", "closed_at"])
    emit(
        ports, project, "participant.declined", now,
        round=invitation.round.number, participant=invitation.membership.participant.name,
        participant_id=invitation.membership.participant_id, reason=invitation.note,
    )  # fmt: skip


def reason_json(reason: Reason) -> dict[str, Any]:
    """A reason as it is kept in JSON columns and sent over the wire."""
    return {"code": reason.code, "text": reason.text, "facts": dict(reason.facts)}


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
            _invite(ports, project, current, decision, now)
        case Combine():
            _start_combining(ports, project, current, now)
        case Invalidate(reason=reason, give_up=give_up):
            close_invalid(ports, project, current, reason, now, give_up=give_up)


def open_round(ports: Ports, project: Project, now: datetime) -> Round:
    """The project's next round, from its latest checkpoint. There must be one, and no open round."""
    newest = find_newest_round(project)
    base = find_latest_checkpoint(project)
    assert base is not None, "a project runs only once it has a model"  # noqa: S101
    opened = Round.objects.create(
        project=project,
        number=newest.number + 1 if newest else 1,
        base=base,
        policy=project.policy,
        strategy=project.strategy,
        settings=project.settings,
        opened_at=now,
    )
    emit(ports, project, "round.opened", now, round=opened.number, checkpoint=base.number)
    return opened


def _invite(ports: Ports, project: Project, current: Round, decision: Invite, now: datetime) -> None:
    keys = [int(key) for key in decision.participants]
    again = Invitation.objects.filter(round=current, membership_id__in=keys)
    known = set(again.values_list("membership_id", flat=True))
    again.update(state=Invitation.State.OPEN, invited_at=now, notified_at=None, closed_at=None)
    Invitation.objects.bulk_create(
        Invitation(round=current, membership_id=key, invited_at=now) for key in keys if key not in known
    )
    if current.state is Phase.WAITING:
        current.phase = move(current.state, Phase.COLLECTING)
        current.started_at = now
        current.deadline_at = decision.deadline_at
        current.needed = decision.needed
        current.save(update_fields=["phase", "started_at", "deadline_at", "needed"])
    emit(ports, project, "round.started", now, round=current.number, invited=len(keys))
    if project.face != NATIVE:
        # Native participants ask for work; other dialects' must be told, which is a job, because it may take tries.
        enqueue(ports, f"{project.face}.invited", f"{project.pk}/{current.number}", now, round=current.pk)


def _start_combining(ports: Ports, project: Project, current: Round, now: datetime) -> None:
    current.phase = move(current.state, Phase.COMBINING)
    current.save(update_fields=["phase"])
    if not policy_of(current).open_ended:
        _close_invitations(current, now)
    enqueue(ports, COMBINE_JOB, f"{project.pk}/{current.number}", now, project=project.pk, round=current.pk)
    emit(ports, project, "round.combining", now, round=current.number, updates=current.updates.count())


def _close(current: Round, phase: Phase, now: datetime) -> None:
    current.phase = move(current.state, phase)
    current.closed_at = now
    current.save(update_fields=["phase", "closed_at", "checkpoint", "reason", "metrics"])
    if not policy_of(current).open_ended:
        _close_invitations(current, now)


def _close_invitations(current: Round, now: datetime) -> None:
    Invitation.objects.filter(round=current, state=Invitation.State.OPEN).update(
        state=Invitation.State.CLOSED, closed_at=now
    )


def _mark_absent(ports: Ports, project: Project, policy: Policy, now: datetime) -> None:
    gone: Iterable[Invitation] = absent_invitations(project, now - timedelta(seconds=policy.absent_after_s))
    for invitation in gone:
        invitation.state = Invitation.State.LOST
        invitation.closed_at = now
        invitation.save(update_fields=["state", "closed_at"])
        seen_at = invitation.membership.seen_at
        emit(
            ports, project, "participant.lost", now,
            round=invitation.round.number,
            participant=invitation.membership.participant.name,
            participant_id=invitation.membership.participant_id,
            seen_at=seen_at.isoformat() if seen_at else None,
        )  # fmt: skip


def _set_state(ports: Ports, project: Project, state: Project.State, now: datetime) -> None:
    project.state = state
    project.next_check_at = None
    project.save(update_fields=["state", "next_check_at", "finish_reason"])
    emit(ports, project, f"project.{state}", now, reason=project.finish_reason)


def _check_again(project: Project, at: datetime | None) -> None:
    if project.next_check_at != at:
        project.next_check_at = at
        project.save(update_fields=["next_check_at"])


def _kept_reason(kept: dict[str, Any] | None) -> Reason | None:
    return None if kept is None else Reason(kept["code"], kept["text"], kept.get("facts", {}))
