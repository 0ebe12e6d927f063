"""A project in memory under one policy: members come and go, and the clock is turned by hand.

It does what the services do, without a database: it counts views, takes the steps a policy decides on, and stops with
an AssertionError at a step that no service could take. Nothing here is random; whoever wants chance brings a seed.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from foedus.core.errors import Late
from foedus.core.rounds import (
    Candidate,
    Combine,
    Decision,
    Invalidate,
    Invite,
    Offer,
    Phase,
    Policy,
    Reason,
    RoundView,
    Wait,
    move,
    next_step,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
FEW = 3


class Fate(StrEnum):
    OPEN = "open"
    REPORTED = "reported"
    GIVEN_UP = "given up"
    LOST = "lost"
    CLOSED = "closed"  # its round went on without it


@dataclass
class Member:
    key: str
    there: bool = False
    seen_at: datetime | None = None
    obstacle: str = ""
    base: int = 0


@dataclass
class Invitation:
    round: int
    member: str
    fate: Fate = Fate.OPEN


@dataclass
class Round:
    number: int
    opened_at: datetime
    phase: Phase = Phase.WAITING
    started_at: datetime | None = None
    deadline_at: datetime | None = None
    needed: int = 0
    authors: list[str] = field(default_factory=list)  # of its updates, in order
    reason: Reason | None = None


@dataclass
class World:
    policy: Policy
    members: dict[str, Member]
    now: datetime = START
    checkpoint: int = 0
    seed: int = 7
    rounds: list[Round] = field(default_factory=list)
    invitations: list[Invitation] = field(default_factory=list)
    combined: list[RoundView] = field(default_factory=list)  # as they were when combining was decided
    gave_up: bool = False

    @classmethod
    def of(cls, policy: Policy, members: int) -> "World":
        world = cls(policy, {f"p{n}": Member(f"p{n}") for n in range(members)})
        world.rounds.append(Round(1, world.now))
        return world

    @property
    def round(self) -> Round:
        return self.rounds[-1]

    @property
    def finished(self) -> bool:
        return self.policy.rounds is not None and len(self.combined) >= self.policy.rounds

    @property
    def over(self) -> bool:
        return self.finished or self.gave_up

    # What members do

    def arrive(self, key: str) -> None:
        member = self.members[key]
        member.there, member.seen_at, member.obstacle = True, self.now, ""

    def leave(self, key: str) -> None:
        self.members[key].there = False

    def hamper(self, key: str, obstacle: str) -> None:
        self.members[key].obstacle = obstacle

    def give_up(self, key: str) -> None:
        for invitation in self._open(key):
            invitation.fate = Fate.GIVEN_UP

    def expel(self, key: str) -> None:
        self.give_up(key)
        del self.members[key]

    def hand_in(self, key: str) -> None:
        """An update of ``key`` for its open task, or for the open round; raises what the policy refuses it with."""
        member, tasks = self.members[key], self._open(key)
        task_round = tasks[0].round if tasks else self.round.number
        offer = Offer(
            participant=key,
            invited=bool(tasks),
            task_round=task_round,
            staleness=self.checkpoint - member.base,
            earlier=self.round.authors.count(key),
        )
        member.base = self.checkpoint
        try:
            self.policy.admit(self.view(), offer, self.now)
        except Late:
            self.give_up(key)
            raise
        self.round.authors.append(key)
        for task in tasks:
            task.fate = Fate.REPORTED

    # What time does

    def advance(self, to: datetime) -> None:
        """Turn the clock; whoever is there gave signs of life all the while."""
        assert to > self.now, "time does not stand still"
        self.now = to
        for member in self.members.values():
            if member.there:
                member.seen_at = to

    # What the services do

    def view(self, at: datetime | None = None) -> RoundView:
        """The open round as counted now, or at a later moment if nobody gave a sign of life until then."""
        at, this = at or self.now, self.round
        invitations = [i for i in self.invitations if i.round == this.number]
        open_ones = [i for i in self.invitations if i.fate is Fate.OPEN]
        flying = [self.members[i.member] for i in open_ones if self._is_there(i.member, at)]
        pending = flying or [m for m in self.members.values() if m.key not in this.authors]
        fates = (Fate.REPORTED,) if self.policy.open_ended else (Fate.REPORTED, Fate.GIVEN_UP)
        done = [i for i in invitations if i.fate in fates]
        busy = {i.member for i in open_ones + done}
        return RoundView(
            number=this.number,
            phase=this.phase,
            opened_at=this.opened_at,
            started_at=this.started_at,
            deadline_at=this.deadline_at,
            registered=len(self.members),
            candidates=tuple(
                _seen(m) for m in self.members.values() if m.key not in busy and self._is_there(m.key, at)
            ),
            invited=len(invitations),
            lost=sum(
                i.fate in (Fate.GIVEN_UP, Fate.LOST) or (i.fate is Fate.OPEN and not self._is_there(i.member, at))
                for i in invitations
            ),
            declined=sum(i.fate is Fate.GIVEN_UP and i.member in self.members for i in invitations),
            removed=sum(i.fate in (Fate.GIVEN_UP, Fate.LOST) and i.member not in self.members for i in invitations),
            needed=this.needed,
            in_flight=len(flying),
            reported=len(set(this.authors)),
            updates=len(this.authors),
            covered=len(set(this.authors) & self.members.keys()),
            pending=tuple(_seen(m) for m in pending[:FEW]),
            pending_seen_at=min((m.seen_at for m in pending if m.seen_at is not None), default=None),
            completed=len(self.combined),
            invalid_streak=self._invalid_streak(),
            seed=self.seed,
        )

    def settle(self) -> Wait | None:
        """Take every step that can be taken now; the wait that remains, or None when the project is over."""
        for _ in range(20 + 4 * len(self.members)):
            if self.over:
                return None
            self._lose_the_absent()
            step = next_step(self.policy, self.view(), self.now)
            assert step == next_step(self.policy, self.view(), self.now), "asking twice is asking once"
            if isinstance(step, Wait):
                self._check_wait(step)
                return step
            self._take(step)
        raise AssertionError(f"the policy never comes to rest: {step}")

    def tasks(self) -> list[str]:
        """Who is there and has a task."""
        return [i.member for i in self.invitations if i.fate is Fate.OPEN and self._is_there(i.member, self.now)]

    def _take(self, step: Decision) -> None:
        match step:
            case Invite():
                self._invite(step)
            case Combine():
                assert self.round.authors, "nothing to combine"
                self.combined.append(self.view())
                self.round.phase = move(self.round.phase, Phase.COMBINING)
                self.checkpoint += 1
                self._close(Phase.COMPLETE)
            case Invalidate():
                self.round.reason = step.reason
                self.gave_up = step.give_up
                self._close(Phase.INVALID)

    def _lose_the_absent(self) -> None:
        for invitation in self.invitations:
            if invitation.fate is Fate.OPEN and not self._is_there(invitation.member, self.now):
                invitation.fate = Fate.LOST

    def _invite(self, step: Invite) -> None:
        assert step.participants, "an invitation of nobody"
        assert len(set(step.participants)) == len(step.participants), "invited twice"
        assert set(step.participants) <= {c.key for c in self.view().ready}, "invited who is not ready"
        this = self.round
        if this.phase is Phase.WAITING:
            this.phase = move(this.phase, Phase.COLLECTING)
            this.started_at = self.now
        this.deadline_at, this.needed = step.deadline_at, step.needed
        again = {i.member: i for i in self.invitations if i.round == this.number}
        for key in step.participants:
            if key not in again:
                self.invitations.append(Invitation(this.number, key))
            else:
                again[key].fate = Fate.OPEN
            self.members[key].base = self.checkpoint

    def _close(self, phase: Phase) -> None:
        self.round.phase = move(self.round.phase, phase)
        if not self.policy.open_ended:
            for invitation in self.invitations:
                invitation.fate = Fate.CLOSED if invitation.fate is Fate.OPEN else invitation.fate
        if not self.over:
            self.rounds.append(Round(self.round.number + 1, self.now))

    def _check_wait(self, wait: Wait) -> None:
        assert wait.reasons, "a wait without a reason"
        assert all(r.code and r.text and r.text[-1] == "." for r in wait.reasons)
        assert wait.until is None or wait.until > self.now, "a wait until the past"

    def _open(self, key: str) -> list[Invitation]:
        return [i for i in self.invitations if i.member == key and i.fate is Fate.OPEN]

    def _is_there(self, key: str, at: datetime) -> bool:
        seen_at = self.members[key].seen_at
        return seen_at is not None and at < seen_at + timedelta(seconds=self.policy.absent_after_s)

    def _invalid_streak(self) -> int:
        streak = 0
        for earlier in reversed(self.rounds[:-1]):
            if earlier.phase is not Phase.INVALID:
                break
            streak += 1
        return streak


def _seen(member: Member) -> Candidate:
    return Candidate(member.key, f"name of {member.key}", member.seen_at, member.obstacle)
