"""A node's part in secure sums as it is kept."""

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from foedus.core.federation.rosters import Roster
from foedus.core.federation.sum_course import Course, Part
from foedus.records.federation.models import SecureSum
from foedus.services.federation.membership import Seat
from foedus.services.federation.sum_messages import heard, roster_of


@dataclass(frozen=True, slots=True)
class Standing:
    seat: Seat
    row: SecureSum
    course: Course

    @classmethod
    def of(cls, seat: Seat, now: datetime) -> Self:
        kept = SecureSum.objects.filter(membership=seat.row).first()
        row = kept or SecureSum(membership=seat.row)
        roster, moment = roster_of(row), now.timestamp()
        part = Part(
            session=row.session, given_up=row.given_up, done=row.done, stage_at=row.stage_at, wanted=row.wanted,
            began=kept.began_at if kept is not None else None,
        )  # fmt: skip
        others = frozenset(node for node, peer in seat.node.present.items() if not peer.silent(moment))
        course = Course(
            me=seat.row.node, is_admin=seat.node.is_admin, schedule=seat.node.schedule, others=others, roster=roster,
            heard=heard(seat, roster.id) if roster else {}, part=part, now=moment,
        )  # fmt: skip
        return cls(seat, row, course)

    @property
    def roster(self) -> Roster | None:
        return self.course.roster
