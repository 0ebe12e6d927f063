"""A sample of those connected trains; who vanishes is replaced, and a quorum is enough at the deadline."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from math import ceil
from typing import ClassVar

from foedus.core.policies.admission import admit_invited
from foedus.core.policies.options import check_count, check_ratio, check_seconds, share_of
from foedus.core.policies.reasons import (
    absentees,
    counted,
    deadline,
    earliest,
    next_absence,
    obstacles,
    sightings,
)
from foedus.core.policies.verdict import too_few
from foedus.core.rounds import Combine, Decision, Invite, Offer, Phase, Reason, RoundView, Wait

MAX_OVER_SELECTION = 10
_LONGEST_DOUBLING = 20  # 2**20 s are twelve days: beyond that only the deadline counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Quorum:
    """needed = max(minimum, ceil(ratio * connected)), fixed when the round starts; enough = ceil(quorum * needed).

    ``minimum``             connected participants before anybody is selected, and the least a round needs
    ``over_selection``      share of ``needed`` invited on top of it; the round ends with the first ``needed`` updates
    ``quorum``              share of ``needed`` that suffices at the deadline, or once nobody is left to wait for
    ``deadline_s``          from the invitations to the deadline
    ``heartbeat_timeout_s`` silence after which a participant counts as absent and is replaced
    ``max_invalid_streak``  invalid rounds in a row after which no further one is opened; None: any number
    """

    rounds: int | None = 10
    minimum: int = 1
    ratio: float = 1.0
    over_selection: float = 0.0
    quorum: float = 1.0
    deadline_s: float = 600.0
    heartbeat_timeout_s: float = 15.0
    max_invalid_streak: int | None = 10

    open_ended: ClassVar[bool] = False
    invites: ClassVar[bool] = True
    updates_per_participant: ClassVar[int | None] = 1

    def __post_init__(self) -> None:
        check_count("rounds", self.rounds, optional=True)
        check_count("minimum", self.minimum)
        check_ratio("ratio", self.ratio)
        check_ratio("over_selection", self.over_selection, at_most=MAX_OVER_SELECTION)
        check_ratio("quorum", self.quorum)
        check_seconds("deadline_s", self.deadline_s)
        check_seconds("heartbeat_timeout_s", self.heartbeat_timeout_s)
        check_count("max_invalid_streak", self.max_invalid_streak, optional=True)

    @property
    def absent_after_s(self) -> float:
        return self.heartbeat_timeout_s

    @property
    def fewest_updates(self) -> int:
        """What a round may end with at its deadline."""
        return self._enough(self.minimum)

    def decide(self, view: RoundView, now: datetime) -> Decision:
        return self._start(view, now) if view.phase is Phase.WAITING else self._collect(view, now)

    def admit(self, view: RoundView, offer: Offer, now: datetime) -> None:  # noqa: ARG002 - open until decided, not until the deadline
        admit_invited(view, offer, self.updates_per_participant)

    def _start(self, view: RoundView, now: datetime) -> Decision:
        connected = len(view.ready)
        if connected >= self.minimum:
            needed = max(self.minimum, ceil(share_of(self.ratio, connected)))
            extra = Fraction(1) + share_of(self.over_selection, 1)
            return Invite.drawn(view.draw(ceil(needed * extra)), now + timedelta(seconds=self.deadline_s), needed)
        text = f"{connected} of {counted(self.minimum, 'needed participant')} connected and ready."
        few = Reason("too_few_participants", text, {"connected": connected, "needed": self.minimum})
        return Wait((few, *obstacles(view), *absentees(view, self.heartbeat_timeout_s, now)))

    def _collect(self, view: RoundView, now: datetime) -> Decision:
        needed = view.needed or self.minimum
        enough = self._enough(needed)
        ends_at = view.deadline_at or (view.started_at or view.opened_at) + timedelta(seconds=self.deadline_s)
        over = now >= ends_at
        if view.reported >= (enough if over else needed):
            return Combine()
        if over:
            return too_few(view, enough, f"{enough} were needed at the deadline", self.max_invalid_streak)
        missing = needed - view.reported - view.outstanding
        if missing > 0 and view.ready:
            return Invite.drawn(view.draw(missing), ends_at, needed)
        if view.outstanding == 0 and view.reported >= enough:
            return Combine()
        hopeless_at = self._hopeless_at(view, enough)
        if hopeless_at is not None and now >= hopeless_at:
            return too_few(view, enough, self._given_up(view, enough), self.max_invalid_streak)
        until = earliest(now, ends_at, hopeless_at, next_absence(view, self.heartbeat_timeout_s))
        return Wait((*self._missing(view, needed, enough, now), deadline(ends_at, now)), until)

    def _hopeless_at(self, view: RoundView, enough: int) -> datetime | None:
        """When to stop waiting for those who gave up; None while those in training, or silent, could still be enough.

        The next round asks them again. Each invalid one before this doubles the time that is given to whatever makes
        them fail, and to whoever mends it, so that failing at once makes no endless work.
        """
        silent = view.lost - view.declined - view.removed
        if view.outstanding or view.reported + silent >= enough or not (view.declined or view.registered < enough):
            return None
        pause_s = 2 ** min(view.invalid_streak, _LONGEST_DOUBLING)
        return (view.started_at or view.opened_at) + timedelta(seconds=pause_s)

    def _given_up(self, view: RoundView, enough: int) -> str:
        gone = f"{view.lost} of {view.invited} invited gave up or fell silent"
        return f"{enough} would be enough, but {gone}, and nobody else is ready to take a place"

    def _enough(self, needed: int) -> int:
        return max(1, ceil(share_of(self.quorum, needed)))

    def _missing(self, view: RoundView, needed: int, enough: int, now: datetime) -> tuple[Reason, ...]:
        facts = {
            "reported": view.reported,
            "needed": needed,
            "enough": enough,
            "invited": view.invited,
            "lost": view.lost,
            "outstanding": view.outstanding,
        }
        have = f"{view.reported} of {counted(needed, 'needed update')} handed in"
        if view.outstanding:
            training = counted(view.outstanding, "invited participant")
            text = f"{have}; {training} still may.{sightings(view.pending, now)}"
            return (Reason("awaiting_updates", text, facts),)
        gone = f" (of {view.invited} invited, {view.lost} gave up or fell silent)" if view.lost else ""
        text = (
            f"{have}, nobody left to wait for{gone}, and nobody else ready to take a place; "
            f"{enough} are enough at the deadline."
        )
        return (Reason("awaiting_participants", text, facts), *obstacles(view))
