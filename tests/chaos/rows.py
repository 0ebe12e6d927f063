"""The twin's tables, and how a round is counted from them."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from foedus.core.rounds import Candidate, Phase, RoundView

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


def counted(policy, members, rounds, invitations, current: Round, now: datetime) -> RoundView:
    """As the records count it."""
    cutoff = now - timedelta(seconds=policy.absent_after_s)
    mine = [i for i in invitations if i.round is current]
    flying = [i.member for i in invitations if i.state == "open"]
    active = [m for m in members if m.active]
    authors = {u.member.key for u in current.updates}
    lost = sum(i.state in ("lost", "declined") for i in mine)
    busy = {m.key for m in flying}
    done = ("reported",) if policy.open_ended else ("reported", "declined")
    busy |= {i.member.key for i in mine if i.state in done}
    still_may = max(0, len(mine) - lost - len(authors))
    may_invite = policy.invites and (
        current.phase is Phase.WAITING
        or policy.open_ended
        or (lost > 0 and (current.needed == 0 or len(authors) + still_may < current.needed))
    )
    pending = [m for m in flying if m.active] if policy.invites else [m for m in active if m.key not in authors]
    sightings = [m.seen_at for m in flying if m.seen_at is not None]
    closed = [r.phase for r in rounds if r.number < current.number]
    streak = next((n for n, phase in enumerate(reversed(closed)) if phase is Phase.COMPLETE), len(closed))
    return RoundView(
        number=current.number, phase=current.phase, opened_at=current.opened_at, started_at=current.started_at,
        deadline_at=current.deadline_at, registered=len(active),
        candidates=tuple(
            Candidate(str(m.key), m.name, m.seen_at)
            for m in active
            if may_invite and m.key not in busy and m.seen_at is not None and m.seen_at > cutoff
        ),
        invited=len(mine), lost=lost, needed=current.needed,
        declined=sum(i.state == "declined" and i.member.active for i in mine)
        if may_invite and lost and not policy.open_ended else 0,
        in_flight=len(flying) if policy.open_ended else 0, reported=len(authors), updates=len(current.updates),
        covered=sum(m.key in authors for m in active) if not policy.invites else 0,
        pending=tuple(Candidate(str(m.key), m.name, m.seen_at) for m in pending[:5]),
        pending_seen_at=min(sightings, default=None),
        completed=sum(phase is Phase.COMPLETE for phase in closed), invalid_streak=streak, seed=SEED,
    )  # fmt: skip
