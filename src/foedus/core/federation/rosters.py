"""What the admin of a federation says of a secure sum: which stage it is in, and who is in after each stage before.

A roster says all there is to say of its sum, so that only the latest has to arrive. Nobody has to trust it: nodes look
at each, and give away nothing that a false one asks for.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from foedus.core.errors import Invalid
from foedus.core.federation.messages import text, texts, whole
from foedus.core.federation.peers import MAX_PEERS
from foedus.core.federation.schedules import period_s
from foedus.core.privacy.sum_session import MIN_PEERS, Stage

OUTLINE, OVER = "outline", "over"
STAGES = (OUTLINE, *(stage.value for stage in Stage), OVER)
_NODE_CHARACTERS = 32
_ID_CHARACTERS = 64
MAX_STAGE_S = 600.0
# However short the period: a process that died is back within that. Who is not in the first sum may not join by itself.
MIN_OUTLINE_S, MIN_STAGE_S = 90.0, 30.0

Block = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Roster:
    """``run`` grows from sum to sum; ``id`` is random. ``those``: by stage that is over, who is in. ``digests``: of the
    outline of each of those who are in. ``why`` it ended without a sum, if it did.
    """

    run: int
    id: str
    stage: str = OUTLINE
    those: Mapping[str, Block] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    why: str = ""

    @property
    def peers(self) -> Block:
        """Those whose outlines make the frame."""
        return self.those.get(OUTLINE, ())

    def closed(self, there: Collection[str]) -> Self:
        """In its next stage, with those in whose messages of this one are there."""
        following = STAGES[STAGES.index(self.stage) + 1]
        return replace(self, stage=following, those={**self.those, self.stage: tuple(sorted(there))})

    def ended(self, why: str = "") -> Self:
        return replace(self, stage=OVER, why=why)

    def to_json(self) -> dict[str, Any]:
        return {
            "run": self.run, "id": self.id, "stage": self.stage, "why": self.why, "digests": dict(self.digests),
            "those": {stage: list(nodes) for stage, nodes in self.those.items()},
        }  # fmt: skip

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Self:
        """Of a message's body. Raises Invalid."""
        those, digests, stage = body.get("those"), body.get("digests"), text(body, "stage", 20)
        if not isinstance(those, dict) or not isinstance(digests, dict) or stage not in STAGES:
            raise Invalid("it is no roster of a secure sum")
        if not those.keys() <= set(STAGES[:-1]) or len(digests) > MAX_PEERS:
            raise Invalid("it is a roster of a secure sum with stages or digests that are none")
        found = cls(
            whole(body, "run"), text(body, "id", _ID_CHARACTERS), stage,
            {name: texts(those, name, MAX_PEERS, _NODE_CHARACTERS) for name in those},
            {str(node): text(digests, node, _ID_CHARACTERS) for node in digests}, text(body, "why", 500),
        )  # fmt: skip
        found.check()
        return found

    def check(self) -> None:
        """Raises Invalid unless sets of later stages are within those before, and all are there."""
        if len(self.id) != _ID_CHARACTERS or set(self.id) - set("0123456789abcdef"):
            raise Invalid("the id of a secure sum is 64 hexadecimal digits")
        before: set[str] | None = None
        until = STAGES[: STAGES.index(self.stage)] if self.stage != OVER else tuple(self.those)
        if set(until) != set(self.those):
            raise Invalid("a roster of a secure sum names those who are in after each stage before its own")
        for stage in STAGES[:-1]:
            if stage not in self.those:
                continue
            named = self.those[stage]
            if list(named) != sorted(set(named)) or (before is not None and not before.issuperset(named)):
                raise Invalid("a roster of a secure sum has nodes that were not in before, or are out of order")
            before = set(named)
        if set(self.digests) != set(self.peers):
            raise Invalid("a roster of a secure sum has the digest of each outline")

    def follows(self, known: "Roster | None") -> bool:
        """Whether it tells more than the one that is known. Raises Invalid when it tells something else."""
        if known is None or self.run > known.run:
            return True
        if self.run < known.run:
            return False
        later = STAGES.index(self.stage) > STAGES.index(known.stage)
        same = self.id == known.id and all(self.those.get(s, of) == of for s, of in known.those.items())
        if not same or (known.digests and self.digests != known.digests):
            raise Invalid("the admin said two different things of one secure sum")
        return later


def outline_s(schedule: str) -> float:
    """How long a sum waits for those who have not said what theirs is about: who is not in the first waits for long."""
    return min(max(period_s(schedule) / 2, MIN_OUTLINE_S), MAX_STAGE_S)


def stage_s(schedule: str) -> float:
    """How long each later stage waits for those who have not sent its message."""
    return min(max(period_s(schedule) / 6, MIN_STAGE_S), MAX_STAGE_S)


def fitting(blocks: Sequence[Block], there: Collection[str]) -> Block:
    """Of those that are there, the most whose sum tells no more of few than sums before did: see ``misfit``."""
    nodes = set(there)
    old = {node for block in blocks for node in block}
    whole_blocks = {node for block in blocks if nodes.issuperset(block) for node in block}
    new = nodes - old
    return tuple(sorted(whole_blocks | (new if len(new) >= MIN_PEERS else set())))


def misfit(blocks: Sequence[Block], chosen: Collection[str]) -> tuple[str, ...]:
    """The nodes for whose sake a sum of those chosen may not be opened; none when it may.

    Nodes of earlier sums fall into blocks of at least three that are in a sum together or not at all; so do those who
    come anew. Whatever sums are added and subtracted then, no fewer than three nodes are left over.
    """
    nodes = set(chosen)
    old = {node for block in blocks for node in block}
    torn = {node for block in blocks if nodes & set(block) for node in block if node not in nodes}
    new = nodes - old
    return tuple(sorted(torn | (new if 0 < len(new) < MIN_PEERS else set())))


def with_block(blocks: Sequence[Block], opened: Collection[str]) -> tuple[Block, ...]:
    """Once the sum of those was opened."""
    new = set(opened) - {node for block in blocks for node in block}
    return (*blocks, tuple(sorted(new))) if new else tuple(blocks)
