"""The twin's tables, and how a round is counted from them."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from foedus.core.rounds import Candidate, Phase, Policy, RoundView

SEED = 7


@dataclass(slots=True)
class Member:
    key: int
    name: str
    active: bool = True
    seen_at: datetime | None = None


@dataclass(slots=True)
class Invitation:
    round: "Round"
    member: Member
    state: str = "open"
    taken_back: int = 0


@dataclass(slots=True)
class Update:
    member: Member
    task_round: int
    digest: str


@dataclass(slots=True)
class Round:
    number: int
    base: int
    opened_at: datetime
    policy: Policy
    strategy: str
    phase: Phase = Phase.WAITING
    started_at: datetime | None = None
    deadline_at: datetime | None = None
    needed: int = 0
    updates: list[Update] = field(default_factory=list)
    checkpoint: str = ""


@dataclass(slots=True)
class Job:
    round: Round
    attempts: int = 0
    run_at: datetime | None = None
    token: int = 0
    lease_until: datetime | None = None


def counted(members, rounds, invitations, current: Round, now: datetime) -> RoundView:
    """As the records count it."""
    policy, phase = current.policy, current.phase
    flying, busy, invited, lost, declined, removed = [], set(), 0, 0, 0, 0
    done = ("reported",) if policy.open_ended else ("reported", "declined")
    for invitation in invitations:
        state = invitation.state
        if state == "open":
            flying.append(invitation.member)
            busy.add(invitation.member.key)
        if invitation.round is current:
            invited += 1
            lost += state in ("lost", "declined")
            declined += state == "declined" and invitation.member.active
            removed += state in ("lost", "declined") and not invitation.member.active
            if state in done:
                busy.add(invitation.member.key)
    active = [m for m in members if m.active]
    authors = {u.member.key for u in current.updates}
    still_may = max(0, invited - lost - len(authors))
    may_invite = policy.invites and (
        phase is Phase.WAITING
        or policy.open_ended
        or (lost > 0 and (current.needed == 0 or len(authors) + still_may < current.needed))
    )
    pending = [m for m in flying if m.active] if policy.invites else [m for m in active if m.key not in authors]
    cutoff = now - timedelta(seconds=policy.absent_after_s)
    completed = streak = 0
    for earlier in rounds[: current.number - 1]:
        complete = earlier.phase is Phase.COMPLETE
        completed += complete
        streak = 0 if complete else streak + 1
    return RoundView(
        number=current.number, phase=phase, opened_at=current.opened_at, started_at=current.started_at,
        deadline_at=current.deadline_at, registered=len(active),
        candidates=tuple(
            Candidate(str(m.key), m.name, m.seen_at)
            for m in active
            if m.key not in busy and m.seen_at is not None and m.seen_at > cutoff
        ) if may_invite else (),
        invited=invited, lost=lost, needed=current.needed,
        declined=declined if may_invite and lost and not policy.open_ended else 0,
        removed=removed if may_invite and lost and not policy.open_ended else 0,
        in_flight=len(flying) if policy.open_ended else 0, reported=len(authors), updates=len(current.updates),
        covered=0 if policy.invites else sum(m.key in authors for m in active),
        pending=tuple(Candidate(str(m.key), m.name, m.seen_at) for m in pending[:5]),
        pending_seen_at=min((m.seen_at for m in flying if m.seen_at is not None), default=None),
        completed=completed, invalid_streak=streak, seed=SEED,
    )  # fmt: skip
