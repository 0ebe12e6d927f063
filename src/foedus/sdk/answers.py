"""What a server tells, in the words of the native API. Fields that a server leaves out have their defaults."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from foedus.core.sampling import Draw as Again
from foedus.sdk.reading import Answer

Metrics = Mapping[str, float]


def _no_facts() -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True, slots=True)
class Reason(Answer):
    """Why something waits or ended: ``code`` and ``facts`` for programs, ``text`` as a sentence."""

    text: str
    code: str = ""
    facts: Mapping[str, Any] = field(default_factory=_no_facts)


@dataclass(frozen=True, slots=True)
class Checkpoint(Answer):
    """A published state of the model. ``digest`` is the SHA-256 of its bytes in hexadecimal.

    ``data`` are these bytes in base64, where a task brought them along.
    """

    number: int
    digest: str
    size_bytes: int
    round: int | None = None
    created_at: datetime | None = None
    metrics: Mapping[str, Any] | None = None
    evaluation: Mapping[str, Any] | None = None
    kept: bool = True
    href: str = ""
    data: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Receipt(Answer):
    """The server's word that an update is on disk."""

    id: str
    round: int
    digest: str
    participant: str = ""
    size_bytes: int = 0
    examples: float = 0.0
    staleness: int = 0
    accepted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Round(Answer):
    """One cycle of inviting, training and combining. Counts are of participants, ``updates`` of updates.

    ``policy`` and ``strategy`` are those that the round goes by; ``needed`` updates end it, if its policy says so.
    """

    number: int
    phase: str
    reasons: tuple[Reason, ...] = ()
    invited: int = 0
    reported: int = 0
    lost: int = 0
    updates: int = 0
    needed: int = 0
    policy: Mapping[str, Any] = field(default_factory=_no_facts)
    strategy: Mapping[str, Any] = field(default_factory=_no_facts)
    opened_at: datetime | None = None
    started_at: datetime | None = None
    deadline_at: datetime | None = None
    closed_at: datetime | None = None
    base_checkpoint: int | None = None
    checkpoint: int | None = None
    metrics: Mapping[str, Any] | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Project(Answer):
    """What is learnt together. ``round`` and ``checkpoint`` are the newest; ``participants`` is a count."""

    key: str
    title: str = ""
    state: str = ""
    reasons: tuple[Reason, ...] = ()
    strategy: Mapping[str, Any] = field(default_factory=_no_facts)
    policy: Mapping[str, Any] = field(default_factory=_no_facts)
    settings: Mapping[str, Any] = field(default_factory=_no_facts)
    update_kind: str = "weights"
    evaluate_every: int = 0
    evaluation: Mapping[str, Any] | None = None
    early_stopping: Mapping[str, Any] | None = None
    best: Mapping[str, Any] | None = None
    retention: Mapping[str, Any] | None = None
    model: int | None = None
    seed: int | None = None
    round: Round | None = None
    checkpoint: Checkpoint | None = None
    layout: Any = None
    participants: int = 0
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Member(Answer):
    """A participant as operators see it. ``waiting_for`` says why it has no task."""

    id: str
    name: str
    state: str = "active"
    joined_at: datetime | None = None
    seen_at: datetime | None = None
    waiting_for: Any = None


@dataclass(frozen=True, slots=True)
class EnrolmentKey(Answer):
    """To be given to one participant; ``key`` is shown this once."""

    key: str = field(repr=False)
    name: str = ""
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AcceptedUpdate(Answer):
    """An update that a round holds."""

    id: str
    participant: str
    examples: float
    digest: str = ""
    size_bytes: int = 0
    staleness: int = 0
    metrics: Mapping[str, Any] | None = None
    accepted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Invitation(Answer):
    """That a participant was asked to train for a round, and what came of it."""

    id: str
    participant_id: str
    participant: str
    state: str
    note: str = ""
    invited_at: datetime | None = None
    closed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Draw(Answer):
    """How a round chose among those that were ready: ``positions`` of ``pool``, by ``seed``."""

    id: str
    seed: str
    pool: tuple[int | None, ...]
    positions: tuple[int, ...]
    at: datetime | None = None

    @property
    def reproduces(self) -> bool:
        """Whether drawing again gives the same."""
        return Again(self.seed, tuple(map(str, self.pool)), len(self.positions)).positions == self.positions


@dataclass(frozen=True, slots=True)
class Score(Answer):
    """How good a checkpoint is, according to a participant, or to an operator (``participant`` None)."""

    checkpoint: int
    metrics: Mapping[str, Any]
    examples: float = 0.0
    participant: str | None = None
    reported_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Artifact(Answer):
    """A checkpoint under the version name it was released by."""

    version: str
    checkpoint: int
    digest: str = ""
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Credential(Answer):
    """An operator token; ``token`` is there only in the answer that made it."""

    id: str
    name: str = ""
    token: str | None = field(default=None, repr=False)
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Identity(Answer):
    """Who the server takes us for."""

    kind: str
    name: str = ""
    organisation: str = ""
    projects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Event(Answer):
    """Something that happened to a project; ``id`` grows by one from event to event."""

    id: int
    kind: str
    data: Mapping[str, Any] = field(default_factory=_no_facts)


@dataclass(frozen=True, slots=True)
class SentState(Answer):
    """What a strategy sends along with a checkpoint: a file, described as a checkpoint's is."""

    digest: str
    size_bytes: int
    href: str = ""
    data: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class StrategyOffer(Answer):
    """The strategy of a round: what it sends beside the model, and what it wants back beside the update."""

    name: str
    sends: tuple[str, ...] = ()
    state: SentState | None = None
    returns: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Task(Answer):
    """What a participant is to do now: train, evaluate, wait, or nothing more (finished)."""

    task: str
    round: int | None = None
    checkpoint: Checkpoint | None = None
    settings: Mapping[str, Any] = field(default_factory=_no_facts)
    update_kind: str = "weights"
    encodings: tuple[str, ...] = ()
    strategy: StrategyOffer | None = None
    deadline_at: datetime | None = None
    heartbeat_s: float = 5.0
    evaluate: bool = False
    reasons: tuple[Reason, ...] = ()
