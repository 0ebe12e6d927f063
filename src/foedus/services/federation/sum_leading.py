"""What the admin's node does for a secure sum: begin it, and name who is in after each stage."""

import os
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from foedus.core.errors import PlatformError, Unavailable
from foedus.core.federation.messages import Kind
from foedus.core.federation.rosters import OUTLINE, Roster, fitting, misfit
from foedus.core.privacy.sum_board import Board
from foedus.core.privacy.sum_session import KEY_BYTES, MIN_PEERS, Stage, usual_threshold
from foedus.services.federation.effects import log, queue
from foedus.services.federation.sum_messages import hear, session_of, signer_of
from foedus.services.federation.sum_standing import Standing
from foedus.services.federation.sum_taking import why_torn


def begin(standing: Standing, now: datetime) -> None:
    """The next sum; before the first, only note the time from which a period is counted."""
    row, roster = standing.row, standing.roster
    first = row.pk is None
    row.began_at = standing.now
    if first:
        return
    row.wanted = False
    log(standing.seat, "began a secure sum", now, error=False)
    _tell(standing, Roster((roster.run if roster else 0) + 1, os.urandom(KEY_BYTES).hex()), now)


def close(standing: Standing, now: datetime) -> None:
    """Go on with those who have spoken, or end the sum where that cannot be."""
    roster = standing.roster
    assert roster is not None, "only a sum that began has a stage to close"  # noqa: S101
    there = standing.expected & standing.heard.get(roster.stage, {}).keys()
    try:
        _tell(standing, _next(standing, roster, there), now)
    except Unavailable:
        raise
    except PlatformError as exc:
        _tell(standing, roster.ended(exc.message[:500]), now)


def _next(standing: Standing, roster: Roster, there: Collection[str]) -> Roster:
    if roster.stage == OUTLINE:
        return _framed(standing, roster, there)
    stage, least = Stage(roster.stage), usual_threshold(len(roster.peers))
    good = set(there) & _genuine(standing, roster, stage)
    if len(good) < least:
        return roster.ended(
            f"only {len(good)} of {len(roster.peers)} nodes were there to the end of {stage}, {least} needed"
        )
    if stage is Stage.REVEAL:
        return roster.ended()
    torn = misfit(standing.row.blocks, good) if stage is Stage.MASKED else ()
    return roster.ended(why_torn(standing.seat, torn)[:500]) if torn else roster.closed(good)


def _framed(standing: Standing, roster: Roster, there: Collection[str]) -> Roster:
    """With those who are in, if their statistics can be added."""
    blocks, digests = standing.row.blocks, standing.heard.get(OUTLINE, {})
    chosen = fitting(blocks, there)
    if len(chosen) < MIN_PEERS:
        absent = {node for block in blocks for node in block} - set(there)
        why = f"{len(there)} nodes have statistics to add, and it takes {MIN_PEERS}"
        return roster.ended((why_torn(standing.seat, sorted(absent)) if absent else why)[:500])
    found = replace(roster, digests={node: digests[node] for node in chosen}).closed(chosen)
    session_of(standing.seat, found)
    return found


def _genuine(standing: Standing, roster: Roster, stage: Stage) -> frozenset[str]:
    """Those whose words of this stage are as they should be."""
    session, _ = session_of(standing.seat, roster)
    board = Board(session, signer_of(standing.seat, roster).verify)
    hear(standing.seat, roster, board, stage)
    return board.senders(stage)


def _tell(standing: Standing, roster: Roster, now: datetime) -> None:
    standing.row.roster, standing.row.stage_at = roster.to_json(), standing.now
    queue(standing.seat, Kind.SUM, roster.to_json(), now)
