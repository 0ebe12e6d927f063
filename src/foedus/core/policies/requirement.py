"""An open-ended round: it takes updates from any member at any time and is combined once a requirement is met."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from foedus.core.errors import Invalid
from foedus.core.policies.admission import refuse_closed, refuse_excess, refuse_stale
from foedus.core.policies.options import check_choice, check_count
from foedus.core.policies.reasons import counted, sightings
from foedus.core.rounds import Combine, Decision, Offer, Reason, RoundView, Wait

ANY, ALL, SOME = "", "all_clients", "require_x_updates"


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """Nobody is invited. ``requirement`` is one of:

    ``""``                  one update is enough
    ``all_clients``         every member registered now has handed in at least one
    ``require_x_updates``   there are ``x`` updates, whoever they are from

    ``furthest_base``  how many checkpoints may have been published since the one an update was trained from; None: any
    """

    requirement: str = ANY
    x: int | None = None
    furthest_base: int | None = None
    rounds: int | None = None
    updates_per_participant: int | None = None

    open_ended: ClassVar[bool] = True
    invites: ClassVar[bool] = False
    absent_after_s: ClassVar[float] = 86_400.0  # only said, never decided upon: clients send no signs of life

    def __post_init__(self) -> None:
        check_choice("requirement", self.requirement, (ANY, ALL, SOME))
        check_count("x", self.x, optional=self.requirement != SOME)
        if self.x is not None and self.requirement != SOME:
            raise Invalid(f"option x belongs to requirement {SOME!r}; with {self.requirement!r} it must be null")
        check_count("furthest_base", self.furthest_base, at_least=0, optional=True)
        check_count("rounds", self.rounds, optional=True)
        check_count("updates_per_participant", self.updates_per_participant, optional=True)

    def decide(self, view: RoundView, now: datetime) -> Decision:
        if self.requirement == ALL:
            return self._all(view, now)
        needed = self.x or 1
        if view.updates >= needed:
            return Combine()
        text = f"{view.updates} of {counted(needed, 'needed update')} handed in."
        return Wait((Reason("too_few_updates", text, {"updates": view.updates, "needed": needed}),))

    def admit(self, view: RoundView, offer: Offer, now: datetime) -> None:  # noqa: ARG002 - time plays no part
        refuse_closed(view)
        refuse_stale(offer, self.furthest_base)
        refuse_excess(view, offer, self.updates_per_participant)

    def _all(self, view: RoundView, now: datetime) -> Decision:
        if view.registered == 0:
            return Wait((Reason("nobody_registered", "Nobody is registered for the project.", {"registered": 0}),))
        if view.covered >= view.registered:
            return Combine()
        missing = view.registered - view.covered
        text = (
            f"{view.covered} of {counted(view.registered, 'registered participant')} handed in an update;"
            f" {missing} missing.{sightings(view.pending, now)}"
        )
        facts = {"covered": view.covered, "registered": view.registered, "missing": missing}
        return Wait((Reason("members_missing", text, facts),))
