"""Asynchronous rounds: people train all the time, and every few updates become a new model.

Source: Nguyen et al., "Federated Learning with Buffered Asynchronous Aggregation", AISTATS 2022.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from foedus.core.errors import Conflict
from foedus.core.policies.admission import refuse_closed, refuse_stale
from foedus.core.policies.options import check_count, check_seconds
from foedus.core.policies.reasons import absentees, counted, earliest, next_absence, obstacles, sightings
from foedus.core.rounds import Combine, Decision, Invite, Offer, Reason, RoundView, Wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Buffered:
    """A round is what fills the buffer once; who is still training then goes on and hands in to the next round.

    Nobody trains twice from the same model, so a buffer that is larger than the project is full once it holds an update
    of every member.

    ``buffer``               updates that make a new model
    ``concurrency``          participants in training at once; a place is taken again as soon as it is free
    ``max_staleness``        checkpoints that may have been published while an update was trained; None: any number
    ``heartbeat_timeout_s``  silence after which a participant counts as absent and frees its place
    ``max_wait_s``           after so long in a round at least one update is enough; None: never
    """

    rounds: int | None = 10
    buffer: int = 10
    concurrency: int = 100
    max_staleness: int | None = None
    heartbeat_timeout_s: float = 15.0
    max_wait_s: float | None = None

    open_ended: ClassVar[bool] = True
    invites: ClassVar[bool] = True
    updates_per_participant: ClassVar[int | None] = None

    def __post_init__(self) -> None:
        check_count("rounds", self.rounds, optional=True)
        check_count("buffer", self.buffer)
        check_count("concurrency", self.concurrency)
        check_count("max_staleness", self.max_staleness, at_least=0, optional=True)
        check_seconds("heartbeat_timeout_s", self.heartbeat_timeout_s)
        check_seconds("max_wait_s", self.max_wait_s, optional=True)

    @property
    def absent_after_s(self) -> float:
        return self.heartbeat_timeout_s

    def decide(self, view: RoundView, now: datetime) -> Decision:
        impatient_at = self._impatient_at(view)
        waited = impatient_at is not None and now >= impatient_at
        if view.updates >= (1 if waited else self.buffer):
            return Combine()
        free = self.concurrency - view.in_flight
        if free > 0 and view.ready:
            return Invite.drawn(view.draw(free))
        if not view.in_flight and 0 < view.registered <= view.reported:
            return Combine()
        until = earliest(
            now,
            impatient_at,  # even of an empty buffer: an update that comes before then moves no alarm
            next_absence(view, self.heartbeat_timeout_s) if view.in_flight else None,
        )
        return Wait((*self._missing(view, now), *obstacles(view), *self._unseen(view, now)), until)

    def admit(self, view: RoundView, offer: Offer, now: datetime) -> None:  # noqa: ARG002 - time plays no part
        refuse_closed(view)
        refuse_stale(offer, self.max_staleness)
        if not offer.invited:
            raise Conflict("you have no open task: ask for one; a task takes one update")

    def _impatient_at(self, view: RoundView) -> datetime | None:
        if self.max_wait_s is None:
            return None
        return (view.started_at or view.opened_at) + timedelta(seconds=self.max_wait_s)

    def _missing(self, view: RoundView, now: datetime) -> tuple[Reason, ...]:
        text = (
            f"{view.updates} of {counted(self.buffer, 'update')} are in the buffer;"
            f" {counted(view.in_flight, 'participant')} in training."
        )
        if view.in_flight:
            text += sightings(view.pending, now)
        facts = {"updates": view.updates, "buffer": self.buffer, "in_flight": view.in_flight}
        return (Reason("buffer_not_full", text, facts),)

    def _unseen(self, view: RoundView, now: datetime) -> tuple[Reason, ...]:
        """Absent members matter only while there is room for them."""
        return absentees(view, self.heartbeat_timeout_s, now) if view.in_flight < self.concurrency else ()
