"""Who is asked to train for a round, and who is not waited for any more. Callers hold the project's lock."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from foedus.core.rounds import Invite, Phase, Policy, move
from foedus.ports import Ports
from foedus.records.learning.changes import add_invitations, store_beginning
from foedus.records.learning.counting import Tally, keep_tally, may_have_tasks, note_tally
from foedus.records.learning.models import Draw, Invitation, Project, Round
from foedus.records.learning.people import absent_invitations, invited_before
from foedus.services.shell.events import emit
from foedus.services.shell.jobs import enqueue

NATIVE = "native"


def invite(ports: Ports, project: Project, current: Round, decision: Invite, tally: Tally, now: datetime) -> None:
    """Ask them to train, and count them: ``tally`` is what was counted before."""
    keys = [int(key) for key in decision.participants]
    known = _invited_anew(current, keys, now) if tally.invited else {}
    add_invitations([key for key in keys if key not in known], round=current, invited_at=now)
    tally = tally.with_invitations(keys, known)
    if current.state is Phase.WAITING:
        current.phase = move(current.state, Phase.COLLECTING)
        current.started_at = now
        current.deadline_at = decision.deadline_at
        current.needed = decision.needed
        note_tally(current, tally)
        store_beginning(current)
    else:
        keep_tally(current, tally)
    drawn = {}
    if decision.draw is not None and decision.draw.is_choice:
        draw, pool = decision.draw, [int(key) for key in decision.draw.pool]
        Draw.objects.create(round=current, seed=draw.seed, pool=pool, positions=draw.positions, at=now)
        drawn = {"seed": draw.seed, "ready": len(pool)}
    emit(ports, project, "round.started", now, round=current.number, invited=len(keys), **drawn)
    if project.face != NATIVE:
        # Native participants ask for work; other dialects' must be told, which is a job, because it may take tries.
        enqueue(ports, f"{project.face}.invited", f"{project.pk}/{current.number}", now, round=current.pk)


def _invited_anew(current: Round, keys: Sequence[int], now: datetime) -> dict[int, str]:
    """Those of the members who were invited to the round before are so again; what had become of it until now."""
    known = invited_before(current, keys)
    if known:
        again = Invitation.objects.filter(round=current, membership_id__in=list(known))
        again.update(state=Invitation.State.OPEN, invited_at=now, notified_at=None, closed_at=None)
    return known


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


def close_others(project: Project, current: Round, policy: Policy, latest: int, since: int, now: datetime) -> None:
    """At a round's edge: give back the places of tasks whose update the new round could not count any more.

    No round before that of number ``since`` has open tasks.
    """
    left = Invitation.objects.filter(
        round__project=project, round__number__gte=since, state=Invitation.State.OPEN
    ).exclude(round=current)
    if policy.open_ended:
        bound = getattr(policy, "max_staleness", None)
        if bound is None:
            return
        left = left.filter(round__base__number__lt=latest - bound)
    left.update(state=Invitation.State.CLOSED, closed_at=now)


def mark_absent(ports: Ports, project: Project, current: Round, policy: Policy, now: datetime) -> int:
    """Give up the tasks of members that are silent for too long; how many there were."""
    if not may_have_tasks(current):
        return 0
    gone = absent_invitations(project, current, now - timedelta(seconds=policy.absent_after_s))
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
    return len(gone)
