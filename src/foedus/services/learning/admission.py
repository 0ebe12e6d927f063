"""Which round counts an update, and whether it may: asked before a body is read, and again before it is counted."""

from dataclasses import dataclass
from datetime import datetime

from foedus.core.errors import Late, Replayed, Unavailable
from foedus.core.rounds import Offer, Phase, Policy, RoundView
from foedus.records.learning.models import Checkpoint, Invitation, Membership, Project, Round, Update
from foedus.records.learning.queries import find_invitation, find_newest_update, find_open_round, get_round
from foedus.services.learning.rules import policy_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Where an update is counted: in which round, as which of its member's for its task, and how stale it is.

    ``invitation`` what its member was asked, where members are asked one by one
    ``first``     whether it is its member's first in that round
    ``was_lost``  whether that round had given its member up
    """

    round: Round
    sequence: int
    base: Checkpoint
    staleness: int
    invitation: Invitation | None
    first: bool
    was_lost: bool


def admission(project: Project, membership: Membership, task_round: int, now: datetime) -> Admission:
    """What becomes of an update for ``task_round``. Raises Late, Replayed, Unavailable, and what the policy raises."""
    invitation = find_invitation(membership, task_round)
    task = invitation.round if invitation is not None else get_round(project, task_round)
    current = task if task.state.is_open else find_open_round(project)
    policy = policy_of(current or task)
    newest = find_newest_update(membership, task_round)
    if newest is not None and policy.updates_per_participant == 1:
        raise Replayed(
            f"you handed in another update for round {task_round} before; it stays as it was", round=task_round
        )
    wanders = policy.open_ended and policy_of(task).open_ended
    if current is None or (current.number != task_round and not wanders):
        raise Late(f"round {task_round} is over ({task.phase}); your update is not counted", round=task_round)
    # Nothing is published while a round is open: what it was opened from is the latest.
    staleness = current.base.number - task.base.number
    sequence = 0 if newest is None else newest.sequence + 1
    # Where updates cannot wander into later rounds, those for this task are those in this round.
    earlier = Update.objects.filter(membership=membership, round=current).count() if policy.open_ended else sequence
    asked = None if invitation is None else invitation.state
    admit(current, policy, membership, asked, task_round, staleness, earlier, now)
    return Admission(
        round=current,
        sequence=sequence,
        base=task.base,
        staleness=staleness,
        invitation=invitation,
        first=earlier == 0,
        was_lost=invitation is not None and invitation.state == Invitation.State.LOST and current.number == task_round,
    )


def admit(
    current: Round,
    policy: Policy,
    membership: Membership,
    asked: str | None,
    task_round: int,
    staleness: int,
    earlier: int,
    now: datetime,
) -> None:
    """Ask the policy whether the update may enter the round; ``asked`` is the state of its author's invitation."""
    if current.state is Phase.COMBINING and policy.open_ended:
        raise Unavailable(
            "a new checkpoint is just being made; hand the update in again in a moment", retry_after_s=0.5
        )
    invited = asked in (Invitation.State.OPEN, Invitation.State.LOST)
    offer = Offer(str(membership.pk), invited, task_round, staleness, earlier)
    policy.admit(RoundView(current.number, current.state, current.opened_at), offer, now)
