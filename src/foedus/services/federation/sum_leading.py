"""What the admin's node does for a secure sum: begin it, and name who is in after each stage."""

import os
from collections.abc import Mapping
from datetime import datetime
from functools import partial

from foedus.core.errors import PlatformError, Unavailable
from foedus.core.federation.messages import Kind
from foedus.core.federation.rosters import OUTLINE, OVER, Roster
from foedus.core.federation.sum_course import framed, moved_on
from foedus.core.privacy.sum_board import Board
from foedus.core.privacy.sum_session import KEY_BYTES, Stage
from foedus.services.federation.effects import log, queue
from foedus.services.federation.sum_messages import hear, session_of, signer_of
from foedus.services.federation.sum_standing import Standing
from foedus.services.federation.sum_taking import why_torn


def begin(standing: Standing, now: datetime) -> None:
    """The next sum; before the first, only note the time from which a period is counted."""
    row, roster = standing.row, standing.roster
    first = row.pk is None
    row.began_at = standing.course.now
    if first:
        return
    row.wanted = False
    log(standing.seat, "began a secure sum", now, error=False)
    _tell(standing, Roster((roster.run if roster else 0) + 1, os.urandom(KEY_BYTES).hex()), now)


def close(standing: Standing, roster: Roster, now: datetime) -> None:
    """Go on with those who have spoken, or end the sum where that cannot be."""
    expected = standing.course.expected(roster)
    there = {node: said for node, said in standing.course.heard.get(roster.stage, {}).items() if node in expected}
    try:
        _tell(standing, _next(standing, roster, there), now)
    except Unavailable:
        raise
    except PlatformError as exc:
        _tell(standing, roster.ended(exc.message[:500]), now)


def _next(standing: Standing, roster: Roster, there: Mapping[str, str]) -> Roster:
    torn = partial(why_torn, standing.seat)
    if roster.stage != OUTLINE:
        good = set(there) & _genuine(standing, roster, Stage(roster.stage))
        return moved_on(roster, standing.row.blocks, good, torn)
    found = framed(roster, standing.row.blocks, there, torn)
    if found.stage != OVER:
        session_of(standing.seat, found)
    return found


def _genuine(standing: Standing, roster: Roster, stage: Stage) -> frozenset[str]:
    """Those whose words of this stage are as they should be."""
    session, _ = session_of(standing.seat, roster)
    board = Board(session, signer_of(standing.seat, roster).verify)
    hear(standing.seat, roster, board, stage)
    return board.senders(stage)


def _tell(standing: Standing, roster: Roster, now: datetime) -> None:
    standing.row.roster, standing.row.stage_at = roster.to_json(), standing.course.now
    queue(standing.seat, Kind.SUM, roster.to_json(), now)
