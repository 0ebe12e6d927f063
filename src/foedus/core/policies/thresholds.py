"""Shares of a fleet: a round starts when enough devices are ready, and counts when enough of them reported.

Devices are phones that show up now and then. Everybody ready is invited, nobody is replaced, and a round that too few
reported for is thrown away and tried again.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import ClassVar

from foedus.core.policies.admission import admit_invited
from foedus.core.policies.options import check_choice, check_count, check_ratio, check_seconds, share_of
from foedus.core.policies.reasons import (
    absentees,
    counted,
    deadline,
    earliest,
    next_absence,
    obstacles,
    percent,
    sightings,
)
from foedus.core.policies.verdict import too_few
from foedus.core.rounds import Combine, Decision, Invalidate, Invite, Offer, Phase, Reason, RoundView, Wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """``ready_ratio`` of the registered starts a round, ``valid_ratio`` of ``basis`` makes it count.

    ``minimum``             floor of both, in participants
    ``max_training_s``      from the invitations to the deadline
    ``ready_window_s``      how long one sign of life makes a participant count as there
    ``basis``               whose share ``valid_ratio`` is: of the ``registered`` or of the ``invited``
    ``max_invalid_streak``  invalid rounds in a row after which no further one is opened; None: any number
    """

    rounds: int | None = None
    ready_ratio: float = 0.8
    valid_ratio: float = 0.7
    max_training_s: float = 3600.0
    ready_window_s: float = 3600.0
    minimum: int = 1
    basis: str = "registered"
    max_invalid_streak: int | None = None

    open_ended: ClassVar[bool] = False
    invites: ClassVar[bool] = True
    updates_per_participant: ClassVar[int | None] = 1

    def __post_init__(self) -> None:
        check_count("rounds", self.rounds, optional=True)
        check_ratio("ready_ratio", self.ready_ratio)
        check_ratio("valid_ratio", self.valid_ratio)
        check_seconds("max_training_s", self.max_training_s)
        check_seconds("ready_window_s", self.ready_window_s)
        check_count("minimum", self.minimum)
        check_choice("basis", self.basis, ("registered", "invited"))
        check_count("max_invalid_streak", self.max_invalid_streak, optional=True)

    @property
    def absent_after_s(self) -> float:
        return self.ready_window_s

    def decide(self, view: RoundView, now: datetime) -> Decision:
        return self._start(view, now) if view.phase is Phase.WAITING else self._collect(view, now)

    def admit(self, view: RoundView, offer: Offer, now: datetime) -> None:  # noqa: ARG002 - open until decided, not until the deadline
        admit_invited(view, offer, self.updates_per_participant)

    def _start(self, view: RoundView, now: datetime) -> Decision:
        needed = max(self.minimum, ceil(share_of(self.ready_ratio, view.registered)))
        if view.registered == 0:
            return Wait((Reason("nobody_registered", "Nobody is registered for the project.", {"registered": 0}),))
        if len(view.ready) >= needed:
            invited = tuple(sorted(c.key for c in view.ready))
            of = view.registered if self.basis == "registered" else len(invited)
            return Invite(invited, now + timedelta(seconds=self.max_training_s), needed=self._enough(of))
        text = (
            f"{len(view.ready)} of {counted(view.registered, 'registered participant')} are ready;"
            f" the round starts with {needed} (at least {percent(self.ready_ratio)} and {self.minimum})."
        )
        facts = {
            "ready": len(view.ready),
            "registered": view.registered,
            "needed": needed,
            "ratio": round(len(view.ready) / view.registered, 4),
            "ready_ratio": self.ready_ratio,
        }
        few = Reason("too_few_ready", text, facts)
        return Wait((few, *obstacles(view), *absentees(view, self.ready_window_s, now)))

    def _collect(self, view: RoundView, now: datetime) -> Decision:
        ends_at = view.deadline_at or (view.started_at or view.opened_at) + timedelta(seconds=self.max_training_s)
        everybody = 0 < view.registered <= view.reported
        if everybody or view.outstanding == 0 or now >= ends_at:
            return self._settle(view)
        text = (
            f"{view.reported} of {counted(view.invited, 'invited participant')} handed in an update;"
            f" {view.outstanding} still may.{sightings(view.pending, now)}"
        )
        facts = {
            "reported": view.reported,
            "invited": view.invited,
            "lost": view.lost,
            "registered": view.registered,
            "needed": self._enough(self._whole(view)),
        }
        until = earliest(now, ends_at, next_absence(view, self.ready_window_s))
        return Wait((Reason("awaiting_updates", text, facts), deadline(ends_at, now)), until)

    def _settle(self, view: RoundView) -> Combine | Invalidate:
        whole = self._whole(view)
        enough = self._enough(whole)
        if whole and view.reported >= enough:
            return Combine()
        explained = f"{enough} of {whole} {self.basis} were needed (at least {percent(self.valid_ratio)})"
        return too_few(view, enough, explained, self.max_invalid_streak)

    def _whole(self, view: RoundView) -> int:
        return view.registered if self.basis == "registered" else view.invited

    def _enough(self, whole: int) -> int:
        return max(self.minimum, ceil(share_of(self.valid_ratio, whole)))
