"""What the services do to a project, in memory: the same machine and policies, the same transactions, no database.

Each method is one transaction: it happens as a whole or, when the caller says that a process died, not at all. A test
holds the twin to the services: both give the same answers to the same schedules.
"""

import hashlib
from datetime import datetime, timedelta

from tests.chaos.rows import Invitation, Job, Member, Round, Update, counted

from foedus.core.errors import Conflict, Late, NotFound, Replayed, Unavailable
from foedus.core.rounds import (
    Combine,
    Invite,
    Offer,
    Phase,
    Policy,
    RoundView,
    Wait,
    move,
    next_step,
)

LEASE = timedelta(seconds=6)


def combined(base: str, updates) -> str:
    """A model as what it was made of: the same in any order, another one when anything is missing or twice."""
    return hashlib.sha256("|".join([base, *sorted(updates)]).encode()).hexdigest()


class Twin:
    """One running project."""

    def __init__(self, policy: Policy, now: datetime) -> None:
        self.policy = policy
        self.state = "running"
        self.members: dict[str, Member] = {}
        self.rounds: list[Round] = []
        self.invitations: list[Invitation] = []
        self.checkpoints = ["initial"]
        self.job: Job | None = None
        self.next_check_at: datetime | None = None
        self.events: list[tuple[str, int]] = []
        self._tokens = 0
        self._ticked_at: datetime | None = None
        self._advance(now)

    # What participants call

    def join(self, name: str, now: datetime) -> None:
        member = self.members.setdefault(name, Member(len(self.members) + 1, name))
        member.active = True
        self._emit("participant.joined")
        self._advance(now)

    def leave(self, name: str, now: datetime) -> None:
        member = self.members[name]
        if not member.active:
            return
        member.active = False
        self._give_up(i for i in self.invitations if i.member is member and i.state == "open")
        self._emit("participant.left")
        self._advance(now)

    def next(self, name: str, now: datetime):
        """("train", round), ("wait", reasons) or ("finished", reasons)."""
        member = self._member(name)
        self._sign(member, now)
        if self.state == "running":
            mine = self._open_invitation(member)
            if mine is not None and (mine.round.phase is Phase.COLLECTING or self.policy.open_ended):
                return "train", mine.round.number
            current = self._open_round()
            if (
                not self.policy.invites and current is not None and current.phase is not Phase.COMBINING
                and all(u.member is not member for u in current.updates)
            ):  # fmt: skip
                return "train", current.number
        return ("finished" if self.state == "finished" else "wait"), self._reasons(now)

    def heartbeat(self, name: str, now: datetime) -> None:
        self._sign(self._member(name), now)

    def decline(self, name: str, number: int, now: datetime) -> None:
        member = self._member(name)
        mine = next((i for i in self.invitations if i.member is member and i.round.number == number), None)
        if mine is None:
            raise NotFound
        if mine.state == "reported":
            raise Conflict
        if mine.state in ("open", "lost"):
            self._give_up([mine])
            self._advance(now)

    def hand_in(self, name: str, number: int, digest: str, now: datetime) -> tuple[str, int, str]:
        """The receipt."""
        member = self._member(name)
        try:
            self._accept(member, number, digest, now)
        except Late:
            ended = [
                i for i in self.invitations if i.member is member and i.round.number == number and i.state == "open"
            ]
            for invitation in ended:
                invitation.state = "closed"
            if ended:
                self._advance(now)
            raise
        return name, number, digest

    def crash(self, call: str, arguments, now: datetime) -> None:
        """The call's process dies just before its transaction is committed: nothing has happened."""

    # What workers and the clock do

    def tick(self, now: datetime) -> None:
        if self._ticked_at is None or now < self._ticked_at:
            self._set_right(now)
        self._ticked_at = now
        if self.next_check_at is not None and self.next_check_at <= now:
            self._advance(now)

    def claim(self, now: datetime) -> Job | None:
        """The lease of the job that is due, as a copy: its holder may lose it without noticing."""
        job = self.job
        if job is None or not self._is_due(job, now):
            return None
        self._tokens += 1
        job.attempts, job.token, job.lease_until, job.run_at = job.attempts + 1, self._tokens, now + LEASE, None
        return Job(job.round, job.attempts, None, job.token)

    def renew(self, lease: Job, now: datetime) -> None:
        if self._holds(lease):
            self.job.lease_until = now + LEASE

    def postpone(self, lease: Job, now: datetime) -> None:
        if self._holds(lease):
            self.job.run_at = now + timedelta(seconds=min(60.0, 0.25 * 2**lease.attempts))
            self.job.lease_until = None

    def compute(self, lease: Job) -> str:
        """The new model, stored but not published; empty when there is nothing to do any more."""
        if lease.round.phase is not Phase.COMBINING:
            return ""
        return combined(self.checkpoints[lease.round.base], (f"{u.digest}/{u.member.key}" for u in lease.round.updates))

    def switch(self, lease: Job, model: str, now: datetime) -> None:
        self._complete(lease)
        if not model:
            return
        current = lease.round
        current.checkpoint = model
        self.checkpoints.append(model)
        self._close(current, Phase.COMPLETE)
        completed = sum(r.phase is Phase.COMPLETE for r in self.rounds)
        if self.policy.rounds is not None and completed >= self.policy.rounds:
            self.state, self.next_check_at = "finished", None
        self._advance(now)

    # What a test looks at

    def happened(self) -> int:
        """Grows whenever somebody is woken."""
        return len(self.events)

    def history(self):
        """(number, phase, base, updates as (name, task round, digest), checkpoint's digest) of every round."""
        return [
            (
                r.number, r.phase, r.base,
                [(u.member.name, u.task_round, u.digest) for u in r.updates], r.checkpoint,
            )
            for r in self.rounds
        ]  # fmt: skip

    def expected(self, base: str, updates) -> str:
        return combined(base, (f"{digest}/{self.members[name].key}" for name, _, digest in updates))

    def digest_of(self, checkpoint: int) -> str:
        return self.checkpoints[checkpoint]

    # The services' inside

    def _member(self, name: str) -> Member:
        member = self.members[name]
        if not member.active:
            raise NotFound
        return member

    def _sign(self, member: Member, now: datetime) -> None:
        timeout = timedelta(seconds=self.policy.absent_after_s)
        last = member.seen_at
        if last is not None and abs(now - last) < timeout / 3:
            return
        member.seen_at = now
        if last is None or abs(now - last) >= timeout:
            self._advance(now)

    def _accept(self, member: Member, number: int, digest: str, now: datetime) -> None:
        mine = [u for r in self.rounds for u in r.updates if u.member is member and u.task_round == number]
        if any(u.digest == digest for u in mine):
            return
        current = self._admitting(member, number, len(mine), now)
        current.updates.append(Update(member, number, digest))
        for invitation in self.invitations:
            if invitation.member is member and invitation.round.number == number:
                invitation.state = "reported"
        member.seen_at = now
        self._emit("update.accepted", current.number)
        self._advance(now, absences=False)

    def _admitting(self, member: Member, number: int, sequence: int, now: datetime) -> Round:
        if number > len(self.rounds):
            raise NotFound
        task = self.rounds[number - 1]
        current = task if task.phase.is_open else self._open_round()
        if sequence and self.policy.updates_per_participant == 1:
            raise Replayed
        if current is None or (current is not task and not self.policy.open_ended):
            raise Late
        if current.phase is Phase.COMBINING and self.policy.open_ended:
            raise Unavailable
        invited = any(i.member is member and i.round is task and i.state in ("open", "lost") for i in self.invitations)
        earlier = sum(u.member is member for u in current.updates) if self.policy.open_ended else sequence
        offer = Offer(str(member.key), invited, number, len(self.checkpoints) - 1 - task.base, earlier)
        self.policy.admit(RoundView(current.number, current.phase, current.opened_at), offer, now)
        return current

    def _advance(self, now: datetime, *, absences: bool = True) -> None:
        for _ in range(8):
            if self.state != "running":
                self.next_check_at = None
                return
            current = self._open_round() or self._open(now)
            if absences:
                self._mark_absent(now)
            decision = next_step(self.policy, self.view(current, now), now)
            if isinstance(decision, Wait):
                if absences:
                    self.next_check_at = decision.until
                return
            match decision:
                case Invite():
                    self._invite(current, decision, now)
                case Combine():
                    self._start_combining(current, now)
                    self.next_check_at = None
                    return
                case _:
                    if decision.give_up:
                        self.state = "paused"
                    self._close(current, Phase.INVALID)
            absences = True
        self.next_check_at = now

    def _open(self, now: datetime) -> Round:
        self.rounds.append(Round(len(self.rounds) + 1, len(self.checkpoints) - 1, now))
        self._close_others(self.rounds[-1])
        self._emit("round.opened", len(self.rounds))
        return self.rounds[-1]

    def _close_others(self, current: Round) -> None:
        """Tasks whose updates the new round could not count any more are over."""
        bound = getattr(self.policy, "max_staleness", None)
        for invitation in self.invitations:
            if invitation.state == "open" and bound is not None and invitation.round.base < current.base - bound:
                invitation.state = "closed"

    def _invite(self, current: Round, decision: Invite, now: datetime) -> None:
        again = {i.member.key: i for i in self.invitations if i.round is current}
        by_key = {member.key: member for member in self.members.values()}
        for key in map(int, decision.participants):
            if key in again:
                again[key].state = "open"
            else:
                self.invitations.append(Invitation(current, by_key[key]))
        if current.phase is Phase.WAITING:
            current.phase = move(current.phase, Phase.COLLECTING)
            current.started_at, current.deadline_at, current.needed = now, decision.deadline_at, decision.needed
        self._emit("round.started", current.number)

    def _start_combining(self, current: Round, now: datetime) -> None:
        current.phase = move(current.phase, Phase.COMBINING)
        self._close_invitations(current)
        self.job = Job(current, run_at=now)
        self._emit("round.combining", current.number)

    def _close(self, current: Round, phase: Phase) -> None:
        current.phase = move(current.phase, phase)
        self._close_invitations(current)
        self._emit(f"round.{phase}", current.number)

    def _close_invitations(self, current: Round) -> None:
        if not self.policy.open_ended:
            for invitation in self.invitations:
                if invitation.round is current and invitation.state == "open":
                    invitation.state = "closed"

    def _give_up(self, invitations) -> None:
        for invitation in invitations:
            invitation.state = "declined"
            self._emit("participant.declined", invitation.round.number)

    def _mark_absent(self, now: datetime) -> None:
        cutoff = now - timedelta(seconds=self.policy.absent_after_s)
        for invitation in self.invitations:
            seen_at = invitation.member.seen_at
            if invitation.state == "open" and seen_at is not None and seen_at <= cutoff:
                invitation.state = "lost"
                self._emit("participant.lost", invitation.round.number)

    def _is_due(self, job: Job, now: datetime) -> bool:
        if job.run_at is not None:
            return not job.attempts or not now < job.run_at <= now + timedelta(seconds=120)
        return not now <= job.lease_until <= now + 2 * LEASE

    def _set_right(self, now: datetime) -> None:
        early = [m for m in self.members.values() if m.active and m.seen_at is not None and m.seen_at > now]
        current = self._open_round()
        begun = max(current.started_at or current.opened_at, current.opened_at) if current else now
        if self.state != "running" or not (early or begun > now):
            return
        for member in early:
            member.seen_at = now
        if begun > now:
            current.opened_at -= begun - now
            current.started_at = current.started_at and current.started_at - (begun - now)
            current.deadline_at = current.deadline_at and current.deadline_at - (begun - now)
        self.next_check_at = now

    def _holds(self, lease: Job) -> bool:
        return self.job is not None and self.job.token == lease.token and self.job.run_at is None

    def _complete(self, lease: Job) -> None:
        if self.job is None or self.job.token != lease.token:
            raise Conflict
        self.job = None

    def _open_round(self) -> Round | None:
        return self.rounds[-1] if self.rounds and self.rounds[-1].phase.is_open else None

    def _open_invitation(self, member: Member) -> Invitation | None:
        return next((i for i in self.invitations if i.member is member and i.state == "open"), None)

    def _reasons(self, now: datetime):
        if self.state != "running":
            return (self.state,)
        current = self._open_round()
        if current is None:
            return ("between_rounds",)
        decision = next_step(self.policy, self.view(current, now), now)
        return tuple(r.code for r in decision.reasons) if isinstance(decision, Wait) else ("due",)

    def view(self, current: Round, now: datetime) -> RoundView:
        return counted(self.policy, self.members.values(), self.rounds, self.invitations, current, now)

    def _emit(self, kind: str, number: int = 0) -> None:
        self.events.append((kind, number))
