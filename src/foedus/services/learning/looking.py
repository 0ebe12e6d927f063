"""How closely a round is looked at: as much is counted anew as may have changed since the look before."""

from dataclasses import dataclass, replace
from datetime import datetime

from foedus.core.rounds import Candidate, Invite, Policy, RoundView
from foedus.records.learning.counting import Tally, counted, kept_tally, may_invite, round_view
from foedus.records.learning.models import Membership, Project, Round
from foedus.records.learning.people import candidate_anew, candidates


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Everything is counted: people may have come, gone or become ready.

    ``absences``  somebody may have been silent for too long
    ``recounts``  False: what was counted before is up to date
    ``author``    of the update after which this look is; nobody else can have become ready
    ``rest``      who is ready, where that is known
    ``seen_at``   when that member with a task gave a sign of life that is silent for the longest time, where known
    """

    absences: bool = True
    recounts: bool = True
    author: Membership | None = None
    rest: tuple[Candidate, ...] | None = None
    seen_at: datetime | None = None

    @classmethod
    def after_update(cls, author: Membership | None) -> "Look":
        """Updates bring nobody back and lose nobody."""
        return cls(absences=False, recounts=False, author=author)

    @classmethod
    def after_sign(cls) -> "Look":
        """Whoever shows up again changes no count of the round."""
        return cls(recounts=False)

    @classmethod
    def at_opening(cls) -> "Look":
        """The round was opened with its counts just now."""
        return cls(recounts=False)

    @classmethod
    def after_invitation(cls, before: "Look", view: RoundView, invited: Invite) -> "Look":
        """Whoever was invited just now may vanish; the others are as the look ``before`` saw them."""
        gone = set(invited.participants)
        rest = tuple(person for person in view.candidates if person.key not in gone)
        seen = [person.seen_at for person in view.candidates if person.key in gone]
        is_known = before.absences and len(seen) == len(gone)
        oldest = min((at for at in (view.pending_seen_at, *seen) if at is not None), default=None)
        return cls(recounts=False, rest=rest, seen_at=oldest if is_known else None)

    def at(self, project: Project, current: Round, policy: Policy, now: datetime) -> tuple[RoundView, Tally]:
        """What the policy may know, and the counts, for the caller to keep. The caller holds the project's lock."""
        tally = (None if self.recounts else kept_tally(current)) or counted(project, current)
        people: tuple[Candidate, ...] = ()
        if may_invite(current, policy, tally):
            people = self._candidates(project, current, policy, tally, now)
            tally = replace(tally, ready=sum(person.ready for person in people))
        asks = self.absences and self.seen_at is None
        view = round_view(project, current, policy, now, absences=asks, tally=tally, ready=people, named=False)
        return view if self.seen_at is None else replace(view, pending_seen_at=self.seen_at), tally

    def _candidates(
        self, project: Project, current: Round, policy: Policy, tally: Tally, now: datetime
    ) -> tuple[Candidate, ...]:
        if self.rest is not None:
            return self.rest
        if not self.absences and tally.ready == 0:
            return candidate_anew(project, current, policy, self.author, now)
        return candidates(project, current, policy, now)
