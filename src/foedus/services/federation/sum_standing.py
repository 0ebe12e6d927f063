"""How far a secure sum is as a node knows it, and what it has to do about that."""

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from foedus.core.federation.rosters import OUTLINE, OVER, STAGES, Roster, stage_s
from foedus.core.federation.schedules import period_s
from foedus.core.privacy.sum_session import Stage, usual_threshold
from foedus.records.federation.models import SecureSum
from foedus.services.federation.membership import Seat
from foedus.services.federation.sum_messages import heard, roster_of

MIN_GAP_S = 30.0  # between sums that somebody asks for


@dataclass(frozen=True, slots=True)
class Standing:
    """``heard``: of each stage of the sum whose words are here, and their digests."""

    seat: Seat
    row: SecureSum
    roster: Roster | None
    heard: dict[str, dict[str, str]]
    now: float

    @classmethod
    def of(cls, seat: Seat, now: datetime) -> Self:
        row = SecureSum.objects.filter(membership=seat.row).first() or SecureSum(membership=seat.row)
        roster = roster_of(row)
        return cls(seat, row, roster, heard(seat, roster.id) if roster else {}, now.timestamp())

    @property
    def me(self) -> str:
        return self.seat.row.node

    @property
    def anything_due(self) -> bool:
        return self.step_due is not None or self.total_due or self.begin_due or self.close_due

    @property
    def expected(self) -> set[str]:
        """Who may say something in the present stage."""
        assert self.roster is not None  # noqa: S101
        if self.roster.stage == OUTLINE:
            return {self.me, *self.seat.node.present}
        return set(self.roster.those[STAGES[STAGES.index(self.roster.stage) - 1]])

    @property
    def begin_due(self) -> bool:
        """The first sum is a period after the node began to pulse, so that all can be there by then."""
        if not self.seat.node.is_admin or (self.roster is not None and self.roster.stage != OVER):
            return False
        if self.row.pk is None:
            return True
        gap = MIN_GAP_S if self.row.wanted else period_s(self.seat.node.schedule)
        return abs(self.now - self.row.began_at) >= gap

    @property
    def close_due(self) -> bool:
        """Whether all have spoken, or the time is up."""
        roster = self.roster
        if not self.seat.node.is_admin or roster is None or roster.stage == OVER:
            return False
        late = abs(self.now - self.row.stage_at) >= stage_s(self.seat.node.schedule)  # clocks may be set back
        return late or self.expected <= self.heard.get(roster.stage, {}).keys()

    @property
    def step_due(self) -> str | None:
        """The stage whose message this node has to send, and can."""
        roster = self.roster
        if roster is None or roster.stage == OVER or self.me in self.heard.get(roster.stage, {}):
            return None
        if roster.stage == OUTLINE:
            return OUTLINE if self.row.session != roster.id else None
        if self.row.session != roster.id or self.row.given_up or self.me not in self.expected:
            return None
        return roster.stage if self._all_here(roster) else None

    @property
    def total_due(self) -> bool:
        roster = self.roster
        if roster is None or self.row.done == roster.id or roster.stage not in (Stage.REVEAL, OVER):
            return False
        if roster.stage == OVER and roster.why:
            return True
        opened = len(self.heard.get(Stage.REVEAL, {}).keys() & set(roster.peers))
        return opened >= usual_threshold(len(roster.peers)) and self._all_here(roster)

    def _all_here(self, roster: Roster) -> bool:
        """Whether everything came that the stages before consist of, the outlines that were meant among it."""
        meant = self.heard.get(OUTLINE, {})
        return all(meant.get(peer) == digest for peer, digest in roster.digests.items()) and all(
            self.heard.get(stage, {}).keys() >= set(those) for stage, those in roster.those.items()
        )
