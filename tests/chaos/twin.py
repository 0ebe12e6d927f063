"""What the services do to a project, in memory: the same machine and policies, the same transactions, no database.

Each method is one transaction: it happens as a whole or, when the caller says that a process died, not at all. A test
holds the twin to the services: both give the same answers to the same schedules.
"""

import hashlib
from datetime import datetime, timedelta

from tests.chaos.rows import Invitation, Job, Member, Round, Update
from tests.chaos.twin_rounds import RoundMachine

from foedus.core.errors import Conflict, Late, NotFound, PlatformError, Replayed, Unavailable
from foedus.core.rounds import Offer, Phase, Policy, RoundView, Wait, next_step


def combined(strategy: str, base: str, updates) -> str:
    """A model as what it was made of: the same in any order, another one when anything is missing or twice."""
    return hashlib.sha256("|".join([strategy, base, *sorted(updates)]).encode()).hexdigest()


class Twin(RoundMachine):
    """One running project."""

    def __init__(self, policy: Policy, now: datetime) -> None:
        self._ticked_at: datetime | None = None
        super().__init__(policy, now)

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

    def next(self, name: str, anew: bool, now: datetime):  # noqa: FBT001 - a call's words
        """("train", round), ("wait", reasons) or ("finished", reasons), and how often it must be heard of."""
        member = self._member(name)
        self._sign(member, now)
        if anew:
            self._take_back(member, now)
        return *self._task_of(member, now), self._patience_s() / 3

    def _task_of(self, member: Member, now: datetime):
        if self.state == "running":
            mine = self._open_invitation(member)
            if mine is not None and (mine.round.phase is Phase.COLLECTING or mine.round.policy.open_ended):
                return "train", mine.round.number
            current = self._open_round()
            if (
                current is not None and not current.policy.invites and current.phase is not Phase.COMBINING
                and all(u.member is not member for u in current.updates)
            ):  # fmt: skip
                return "train", current.number
        return ("finished" if self.state == "finished" else "wait"), self._reasons(now)

    def heartbeat(self, name: str, number: int, now: datetime) -> bool:
        """Whether an update of that round would be counted."""
        member = self._member(name)
        self._sign(member, now)
        if any(
            i.member is member and i.round.number == number and i.state in ("open", "lost")
            for i in self.invitations
            if i.round.phase is Phase.COLLECTING
        ):
            return True
        mine = [u for r in self.rounds for u in r.updates if u.member is member and u.task_round == number]
        try:
            self._admitting(member, number, len(mine), now)
        except Unavailable:
            return True
        except Late:
            self._end_task(member, number, now)
            return False
        except PlatformError:
            return False
        return True

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
            self._end_task(member, number, now)
            raise
        return name, number, digest

    # What operators do

    def change(self, policy: Policy, strategy: str, now: datetime) -> None:
        """Other rules from the next round on that begins."""
        self.policy, self.strategy = policy, strategy
        self._emit("project.changed")
        current = self._open_round()
        if current is not None and current.phase is Phase.WAITING and not current.updates:
            current.policy, current.strategy = policy, strategy
            self._close_others(current)
            self._advance(now)

    def pause(self, now: datetime) -> None:
        if self.state == "running":
            self.state, self.next_check_at = "paused", None
            self._emit("project.paused")

    def resume(self, now: datetime) -> None:
        if self.state == "paused":
            self.state = "running"
            self._emit("project.running")
            self._advance(now)

    def crash(self, call: str, arguments, now: datetime) -> None:
        """The call's process dies just before its transaction is committed: nothing has happened."""

    # What workers and the clock do

    def tick(self, now: datetime) -> None:
        if self._ticked_at is None or now < self._ticked_at:
            self._set_right(now)
            self._set_jobs_right(now)
        self._ticked_at = now
        if self.next_check_at is not None and self.next_check_at <= now:
            self._advance(now)

    def compute(self, lease: Job) -> str:
        """The new model, stored but not published; empty when there is nothing to do any more."""
        if lease.round.phase is not Phase.COMBINING:
            return ""
        parts = (f"{u.digest}/{u.member.key}" for u in lease.round.updates)
        return combined(lease.round.strategy, self.checkpoints[lease.round.base], parts)

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
        """(number, phase, strategy, base, updates as (name, task round, digest), new model) of every round."""
        return [
            (
                r.number, r.phase, r.strategy, r.base,
                [(u.member.name, u.task_round, u.digest) for u in r.updates], r.checkpoint,
            )
            for r in self.rounds
        ]  # fmt: skip

    def expected(self, strategy: str, base: str, updates) -> str:
        return combined(strategy, base, (f"{digest}/{self.members[name].key}" for name, _, digest in updates))

    def digest_of(self, checkpoint: int) -> str:
        return self.checkpoints[checkpoint]

    # The services' inside

    def _member(self, name: str) -> Member:
        member = self.members[name]
        if not member.active:
            raise NotFound
        return member

    def _sign(self, member: Member, now: datetime) -> None:
        timeout = timedelta(seconds=self._patience_s())
        last = member.seen_at
        if last is not None and abs(now - last) < timeout / 3:
            return
        member.seen_at = now
        if last is None or abs(now - last) >= timeout:
            self._advance(now)

    def _patience_s(self) -> float:
        """A round that began by other rules than the next one will goes on by them."""
        current = self._open_round()
        mine = self.policy.absent_after_s
        return mine if current is None else min(mine, current.policy.absent_after_s)

    def _end_task(self, member: Member, number: int, now: datetime) -> None:
        ended = [i for i in self.invitations if i.member is member and i.round.number == number and i.state == "open"]
        for invitation in ended:
            invitation.state = "closed"
        if ended:
            self._advance(now)

    def _take_back(self, member: Member, now: datetime) -> None:
        """Who begins anew may be able to do what it declined."""
        for invitation in self.invitations:
            if (
                invitation.member is member and invitation.state == "declined" and invitation.taken_back < 10
                and invitation.round.phase is Phase.COLLECTING
            ):  # fmt: skip
                invitation.state, invitation.taken_back = "lost", invitation.taken_back + 1
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
        policy = (current or task).policy
        if sequence and policy.updates_per_participant == 1:
            raise Replayed
        wanders = policy.open_ended and task.policy.open_ended
        if current is None or (current is not task and not wanders):
            raise Late
        if current.phase is Phase.COMBINING and policy.open_ended:
            raise Unavailable
        invited = any(i.member is member and i.round is task and i.state in ("open", "lost") for i in self.invitations)
        earlier = sum(u.member is member for u in current.updates) if policy.open_ended else sequence
        offer = Offer(str(member.key), invited, number, len(self.checkpoints) - 1 - task.base, earlier)
        policy.admit(RoundView(current.number, current.phase, current.opened_at), offer, now)
        return current

    def _open_invitation(self, member: Member) -> Invitation | None:
        return next((i for i in self.invitations if i.member is member and i.state == "open"), None)

    def _reasons(self, now: datetime):
        if self.state != "running":
            return (self.state,)
        current = self._open_round()
        if current is None:
            return ("between_rounds",)
        decision = next_step(current.policy, self.view(current, now), now)
        return tuple(r.code for r in decision.reasons) if isinstance(decision, Wait) else ("due",)
