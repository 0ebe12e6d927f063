"""The twin's rounds: the real machine and policies, moved as the services move them."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from tests.chaos.rows import Invitation, Job, Member, Round, counted
from tests.chaos.twin_jobs import Leases

from foedus.core.rounds import Combine, Invite, Phase, Policy, RoundView, Wait, move, next_step


class RoundMachine(Leases):
    """One running project, seen from its rounds."""

    def __init__(self, policy: Policy, now: datetime) -> None:
        super().__init__()
        self.policy, self.strategy = policy, "fedavg"  # of the rounds to come
        self.state = "running"
        self.members: dict[str, Member] = {}
        self.rounds: list[Round] = []
        self.invitations: list[Invitation] = []
        self.checkpoints = ["initial"]
        self.next_check_at: datetime | None = None
        self.events: list[tuple[str, int]] = []
        self._advance(now)

    def view(self, current: Round, now: datetime) -> RoundView:
        return counted(self.members.values(), self.rounds, self.invitations, current, now)

    def _advance(self, now: datetime, *, absences: bool = True) -> None:
        for _ in range(8):
            if self.state != "running":
                self.next_check_at = None
                return
            current = self._open_round() or self._open(now)
            if absences:
                self._mark_absent(current, now)
            decision = next_step(current.policy, self.view(current, now), now)
            if isinstance(decision, Wait):
                planned = self.next_check_at
                if absences or (decision.until is not None and (planned is None or decision.until < planned)):
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
        base = len(self.checkpoints) - 1
        self.rounds.append(Round(len(self.rounds) + 1, base, now, self.policy, self.strategy))
        self._close_others(self.rounds[-1])
        self._emit("round.opened", len(self.rounds))
        return self.rounds[-1]

    def _close_others(self, current: Round) -> None:
        """Tasks whose updates the new round could not count any more are over."""
        wanders, bound = current.policy.open_ended, getattr(current.policy, "max_staleness", None)
        for invitation in self.invitations:
            if invitation.state != "open" or invitation.round is current:
                continue
            if not wanders or (bound is not None and invitation.round.base < current.base - bound):
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
        if not current.policy.open_ended:
            for invitation in self.invitations:
                if invitation.round is current and invitation.state == "open":
                    invitation.state = "closed"

    def _give_up(self, invitations: Iterable[Invitation]) -> None:
        for invitation in invitations:
            invitation.state = "declined"
            self._emit("participant.declined", invitation.round.number)

    def _mark_absent(self, current: Round, now: datetime) -> None:
        cutoff = now - timedelta(seconds=current.policy.absent_after_s)
        for invitation in self.invitations:
            seen_at = invitation.member.seen_at
            if invitation.state == "open" and seen_at is not None and seen_at <= cutoff:
                invitation.state = "lost"
                self._emit("participant.lost", invitation.round.number)

    def _set_right(self, now: datetime) -> None:
        early = [m for m in self.members.values() if m.active and m.seen_at is not None and m.seen_at > now]
        current = self._open_round()
        begun = max(current.started_at or current.opened_at, current.opened_at) if current else now
        if not (early or begun > now):
            return
        for member in early:
            member.seen_at = now
        if begun > now:
            current.opened_at -= begun - now
            current.started_at = current.started_at and current.started_at - (begun - now)
            current.deadline_at = current.deadline_at and current.deadline_at - (begun - now)
        if self.state == "running":
            self.next_check_at = now

    def _open_round(self) -> Round | None:
        return self.rounds[-1] if self.rounds and self.rounds[-1].phase.is_open else None

    def _emit(self, kind: str, number: int = 0) -> None:
        self.events.append((kind, number))
