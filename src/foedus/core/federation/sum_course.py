"""How far a secure sum is as one node knows it, and what is to be done about that; no step of it is cryptography."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from foedus.core.federation.rosters import (
    OUTLINE,
    OVER,
    STAGES,
    Block,
    Roster,
    fitting,
    misfit,
    outline_s,
    stage_s,
    with_block,
)
from foedus.core.federation.schedules import period_s
from foedus.core.privacy.sum_session import MIN_PEERS, Stage, usual_threshold

MIN_GAP_S = 30.0  # between sums that somebody asks for
Told = Callable[[Collection[str]], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A node's own part: ``session`` that it takes part in, unless it has ``given_up``; the one that is ``done``.

    The admin's alone: when it ``began`` the latest sum, and its present stage; whether one is ``wanted`` before time.
    """

    session: str = ""
    given_up: bool = False
    done: str = ""
    began: float | None = None
    stage_at: float = 0.0
    wanted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """``others``: who is part of the federation and was heard lately. ``heard``: of each stage of the sum whose words
    are here, and their digests.
    """

    me: str
    is_admin: bool
    schedule: str
    others: frozenset[str]
    roster: Roster | None
    heard: Mapping[str, Mapping[str, str]]
    part: Part
    now: float

    @property
    def anything_due(self) -> bool:
        return self.step_due is not None or self.total_due or self.begin_due or self.close_due

    def expected(self, roster: Roster) -> frozenset[str]:
        """Who may say something in the present stage."""
        if roster.stage == OUTLINE:
            return self.others | {self.me}
        return frozenset(roster.those[STAGES[STAGES.index(roster.stage) - 1]])

    @property
    def begin_due(self) -> bool:
        """The first sum is a period after the node began to pulse, so that all can be there by then."""
        if not self.is_admin or (self.roster is not None and self.roster.stage != OVER):
            return False
        if self.part.began is None:
            return True
        gap = MIN_GAP_S if self.part.wanted else period_s(self.schedule)
        return abs(self.now - self.part.began) >= gap

    @property
    def close_due(self) -> bool:
        """Whether all have spoken, or the time is up."""
        roster = self.roster
        if not self.is_admin or roster is None or roster.stage == OVER:
            return False
        patience = (outline_s if roster.stage == OUTLINE else stage_s)(self.schedule)
        late = abs(self.now - self.part.stage_at) >= patience  # clocks may be set back
        return late or self.expected(roster) <= self.heard.get(roster.stage, {}).keys()

    @property
    def step_due(self) -> str | None:
        """The stage whose message this node has to send, and can."""
        roster, part = self.roster, self.part
        if roster is None or roster.stage == OVER or self.me in self.heard.get(roster.stage, {}):
            return None
        if roster.stage == OUTLINE:
            return OUTLINE if part.session != roster.id else None
        if part.session != roster.id or part.given_up or self.me not in self.expected(roster):
            return None
        return roster.stage if self.all_here(roster) else None

    @property
    def total_due(self) -> bool:
        roster = self.roster
        if roster is None or self.part.done == roster.id or roster.stage not in (Stage.REVEAL, OVER):
            return False
        if roster.stage == OVER and roster.why:
            return True
        opened = len(self.heard.get(Stage.REVEAL, {}).keys() & set(roster.peers))
        return opened >= usual_threshold(len(roster.peers)) and self.all_here(roster)

    def all_here(self, roster: Roster) -> bool:
        """Whether everything came that the stages before consist of, the outlines that were meant among it."""
        meant = self.heard.get(OUTLINE, {})
        return all(meant.get(peer) == digest for peer, digest in roster.digests.items()) and all(
            self.heard.get(stage, {}).keys() >= set(those) for stage, those in roster.those.items()
        )


def framed(roster: Roster, blocks: Collection[Block], digests: Mapping[str, str], torn: Told) -> Roster:
    """The roster once outlines are there, with these digests: with those who are in, or over."""
    blocks, there = tuple(blocks), digests.keys()
    chosen = fitting(blocks, there)
    if len(chosen) >= MIN_PEERS:
        return replace(roster, digests={node: digests[node] for node in chosen}).closed(chosen)
    absent = {node for block in blocks for node in block} - set(there)
    few = f"{len(there)} nodes have statistics to add, and it takes {MIN_PEERS}"
    return roster.ended((torn(sorted(absent)) if absent else few)[:500])


def moved_on(roster: Roster, blocks: Collection[Block], good: Collection[str], torn: Told) -> Roster:
    """The roster once the messages of a later stage are there, ``good`` ones of these nodes."""
    stage, least = Stage(roster.stage), usual_threshold(len(roster.peers))
    if len(good) < least:
        return roster.ended(
            f"only {len(good)} of {len(roster.peers)} nodes were there to the end of {stage}, {least} needed"
        )
    if stage is Stage.REVEAL:
        return roster.ended()
    apart = misfit(tuple(blocks), good) if stage is Stage.MASKED else ()
    return roster.ended(torn(apart)[:500]) if apart else roster.closed(good)


def with_opened(blocks: Collection[Block], opened: Block) -> tuple[Block, ...]:
    """With the block of a sum that this node did not see opened.

    What is known of it may be coarser, if a sum of more nodes was heard of first: a block comes apart where each part
    has as many nodes as any block, for the difference of the two sums tells of the parts already. What still does not
    fit tells nothing.
    """
    found = tuple(part for block in blocks for part in _parted(tuple(block), opened))
    return tuple(tuple(block) for block in blocks) if misfit(found, opened) else with_block(found, opened)


def _parted(block: Block, opened: Collection[str]) -> tuple[Block, ...]:
    parts = tuple(n for n in block if n in opened), tuple(n for n in block if n not in opened)
    return parts if min(map(len, parts)) >= MIN_PEERS else (block,)
