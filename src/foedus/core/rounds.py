"""One state machine for every round; a policy says when it moves.

    waiting ──Invite──> collecting ──Combine──> combining ──> complete
       │                  │  ▲  │                   │
       │                  └──┘  └────Invalidate─────┴───────> invalid
       │                 Invite
       └──Combine, Invalidate (open-ended policies, exhausted waits)

The machine is pure: a ``RoundView`` (counted from wherever rounds are kept) and the time go in; out comes the next
step, or the reasons why there is none and the moment from which the answer may be another one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from foedus.core.errors import Conflict
from foedus.core.sampling import Draw


class Phase(StrEnum):
    """Where a round stands. A project has at most one round in an open phase."""

    WAITING = "waiting"
    COLLECTING = "collecting"
    COMBINING = "combining"
    COMPLETE = "complete"
    INVALID = "invalid"

    @property
    def is_open(self) -> bool:
        return self not in (Phase.COMPLETE, Phase.INVALID)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something waits or ended: ``code`` and ``facts`` for machines, ``text`` as a sentence for people."""

    code: str
    text: str
    facts: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A participant as a policy sees it. ``obstacle`` says why it is not ready, and is empty when it is."""

    key: str
    name: str
    seen_at: datetime | None = None
    obstacle: str = ""

    @property
    def ready(self) -> bool:
        return not self.obstacle


@dataclass(frozen=True, slots=True)
class RoundView:
    """What a policy may know of a round. Counts, not lists, wherever a fleet could be large.

    ``candidates``   who may be invited now: members seen within the policy's ``absent_after_s`` without an open
                     invitation who did not do this round's task nor (unless the policy is open-ended) give it up
    ``registered``   all members of the project
    ``invited``      who was invited to this round; ``lost`` of them brought no update and can no longer be waited for
                     (absent or given up, and not invited anew)
    ``declined``     those of the lost that are still members and gave up: they are asked again with the next round;
                     ``removed`` are members no longer. Who is neither fell silent, and may still hand in.
                     Both are counted where somebody is missing only, and 0 elsewhere
    ``needed``       what the newest ``Invite`` of this round carried
    ``in_flight``    open invitations of any round of the project whose member is still there
    ``reported``     distinct participants with an accepted update in this round; ``updates`` counts the updates
    ``covered``      members of the project, registered now, that have an accepted update in this round
    ``pending``      a few of those still waited for, for the reasons: members in flight or, when nobody is, members
                     without an update in this round; ``pending_seen_at`` the earliest sighting of all of them
    ``completed``    complete rounds before this one; ``invalid_streak`` invalid ones just before it

    A participant is absent from ``seen_at + absent_after_s`` on, that instant included.
    """

    number: int
    phase: Phase
    opened_at: datetime
    started_at: datetime | None = None
    deadline_at: datetime | None = None
    registered: int = 0
    candidates: tuple[Candidate, ...] = ()
    invited: int = 0
    lost: int = 0
    declined: int = 0
    removed: int = 0
    needed: int = 0
    in_flight: int = 0
    reported: int = 0
    updates: int = 0
    covered: int = 0
    pending: tuple[Candidate, ...] = ()
    pending_seen_at: datetime | None = None
    completed: int = 0
    invalid_streak: int = 0
    seed: int = 0

    @property
    def ready(self) -> tuple[Candidate, ...]:
        return tuple(c for c in self.candidates if c.ready)

    @property
    def outstanding(self) -> int:
        """Invitations of this round that may still bring an update."""
        return max(0, self.invited - self.lost - self.reported)

    def draw(self, size: int) -> Draw:
        """Up to ``size`` of those ready: the same project seed, round, pool and invitations before draw the same."""
        return Draw.of(f"{self.seed}:{self.number}:{self.invited}:select", [c.key for c in self.ready], size)


@dataclass(frozen=True, slots=True)
class Offer:
    """An update about to be handed in, before it is accepted.

    ``task_round`` is the round its task named, ``staleness`` how many checkpoints were published since the one it was
    trained from, ``earlier`` how many updates of the same participant this round holds already.
    """

    participant: str
    invited: bool
    task_round: int
    staleness: int = 0
    earlier: int = 0


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before ``until`` (None: before something happens)."""

    reasons: tuple[Reason, ...]
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Invite:
    """Offer the round's work to these participants (keys); the first invitation starts the round.

    ``deadline_at`` and ``needed`` are kept with the round and come back in its view. ``needed`` is how many updates the
    policy wants (0: it counts by itself); inviting more people into a running round repeats both. ``draw`` is what
    chose them, where anything did: it is kept for whoever wants to draw again.
    """

    participants: tuple[str, ...]
    deadline_at: datetime | None = None
    needed: int = 0
    draw: Draw | None = None

    @classmethod
    def drawn(cls, draw: Draw, deadline_at: datetime | None = None, needed: int = 0) -> "Invite":
        return cls(draw.chosen, deadline_at, needed, draw)


@dataclass(frozen=True, slots=True)
class Combine:
    """Close the round to updates and combine what it holds."""


@dataclass(frozen=True, slots=True)
class Invalidate:
    """Close the round without a new model. ``give_up``: open no further round by itself."""

    reason: Reason
    give_up: bool = False


Decision = Wait | Invite | Combine | Invalidate


class Policy(Protocol):
    """Decides readiness, selection, quorum, deadline, validity and staleness of rounds.

    Frozen; built from JSON options.

    ``rounds``           complete rounds after which the project is finished; None: it never is by itself
    ``absent_after_s``   seconds without a sign of life after which a participant counts as absent
    ``open_ended``       updates need no invitation of this very round: they go to whichever round is open
    ``invites``          work is offered to members one by one; False: every member may train for the open round
    ``updates_per_participant``  how many updates of one participant a round may hold; None: any number
    """

    @property
    def rounds(self) -> int | None: ...
    @property
    def absent_after_s(self) -> float: ...
    @property
    def open_ended(self) -> bool: ...
    @property
    def invites(self) -> bool: ...
    @property
    def updates_per_participant(self) -> int | None: ...

    def decide(self, view: RoundView, now: datetime) -> Decision:
        """The next step of a ``waiting`` or ``collecting`` round."""
        ...

    def admit(self, view: RoundView, offer: Offer, now: datetime) -> None:
        """Return if the offered update may enter the round; otherwise raise Late, Conflict or Forbidden, saying why."""
        ...


def next_step(policy: Policy, view: RoundView, now: datetime) -> Decision:
    """What happens next to a round, or why nothing does."""
    match view.phase:
        case Phase.WAITING | Phase.COLLECTING:
            return policy.decide(view, now)
        case Phase.COMBINING:
            many = "1 update" if view.updates == 1 else f"{view.updates} updates"
            text = f"Round {view.number} is being combined from {many}."
            return Wait((Reason("combining", text, {"updates": view.updates}),))
        case Phase.COMPLETE | Phase.INVALID:
            return Wait((Reason("round_over", f"Round {view.number} is {view.phase}."),))


_LEGAL: Mapping[Phase, frozenset[Phase]] = {
    Phase.WAITING: frozenset({Phase.COLLECTING, Phase.COMBINING, Phase.INVALID}),
    Phase.COLLECTING: frozenset({Phase.COMBINING, Phase.INVALID}),
    Phase.COMBINING: frozenset({Phase.COMPLETE, Phase.INVALID}),
    Phase.COMPLETE: frozenset(),
    Phase.INVALID: frozenset(),
}


def move(current: Phase, target: Phase) -> Phase:
    """``target``, if a round may go there from ``current``; otherwise Conflict."""
    if target not in _LEGAL[current]:
        raise Conflict(f"a round cannot go from {current} to {target}")
    return target
