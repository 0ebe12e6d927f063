"""What an aggregator has to know of federated models: which updates wait, and what became of them.

One run over one model:

    get_model -> waiting -> claim -> (renew, reject)* -> finish | release

Metadata is a store and knows no rules. Who may take part, whether enough came and how updates are combined is the
aggregator's affair. Weights are not here either: ``data`` is the key of a blob.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from foedus.core.errors import Conflict, NotFound, Unavailable


class ModelMissing(NotFound):
    """There is no such federated model."""


class NotClaimable(Conflict):
    """Another run is at this model, or some of these updates do not wait any more."""


class ClaimLost(Conflict):
    """This run held its claim for too long without renewing it, and another may have taken over."""


class MetadataUnavailable(Unavailable):
    """The store of metadata does not answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FederatedModel:
    """A model as its aggregator sees it.

    ``aggregator``     name of the rule that combines updates, such as ``average_layers``
    ``requirement``    name of the test that lets a run begin, with ``arguments``; empty: none
    ``furthest_base``  how many aggregates may have been made since the one an update started from; None: any
    ``clients``        names of those registered now
    ``active``         False while aggregation is paused
    """

    id: int
    aggregator: str
    requirement: str = ""
    arguments: tuple[Any, ...] = ()
    furthest_base: int | None = None
    clients: frozenset[str] = frozenset()
    active: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelUpdate:
    """What one client handed in, JSON weights under the key ``data``.

    ``staleness`` counts the aggregates on the line from the newest one back to the update's base: 0 is based on the
    newest. None when the update names no base, or one that is not on that line. While a model has no aggregate, all
    of its updates have staleness 0.
    """

    id: int
    client: str
    data: str
    staleness: int | None = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The right of one run to use these updates, until ``until``. ``parent`` was the newest aggregate as it began."""

    model: int
    run: str
    updates: tuple[ModelUpdate, ...]
    parent: int | None
    until: datetime


class Metadata(Protocol):
    """Federated models, updates and aggregates. Safe to use from many threads and processes.

    Each verb happens wholly or not at all. Any may raise MetadataUnavailable, and then may be called again.
    """

    def get_model(self, model: int) -> FederatedModel:
        """Raises ModelMissing."""
        ...

    def waiting(self, model: int, *, now: datetime) -> Sequence[ModelUpdate]:
        """All updates that could be averaged, are in no aggregate and not held by a claim, oldest first.

        Those of a claim that ran out at ``now`` wait again. Raises ModelMissing.
        """
        ...

    def claim(self, model: int, updates: Sequence[int], *, now: datetime, lease: timedelta) -> Claim:
        """Take ``updates`` (their ids, all waiting) for a run of one's own.

        Raises NotClaimable while another claim on the model has not run out, or when some do not wait; ModelMissing.
        """
        ...

    def renew(self, claim: Claim, *, now: datetime, lease: timedelta) -> Claim:
        """The claim, until ``lease`` from ``now``. Raises ClaimLost once it is over, or ran out."""
        ...

    def reject(self, claim: Claim, update: int, reason: str, *, now: datetime) -> None:
        """Set a claimed update aside for good, with a reason for people. It never waits again. Raises ClaimLost."""
        ...

    def finish(self, claim: Claim, data: str, *, now: datetime) -> int:
        """Make the JSON weights under the key ``data`` the model's newest aggregate, below the one before; its id.

        Every claimed update that was not rejected is in it. The claim is over. Doing this again, with the same claim
        and data, gives the same id. Raises ClaimLost; NoUpdates when all of its updates were rejected.
        """
        ...

    def release(self, claim: Claim, reason: str, *, now: datetime) -> None:
        """End a claim without result: its updates wait again, and carry ``reason`` for people.

        Quietly does nothing when the claim is over already.
        """
        ...

    def migrate(self) -> None:
        """Bring the store to the form this release needs. Doing so again changes nothing."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run came to: the new aggregate, or why there is none, as a sentence. ``rejected`` are ids of updates."""

    model: int
    aggregate: int | None = None
    reason: str = ""
    rejected: tuple[int, ...] = ()


class AggConnector(Protocol):
    """A way to aggregate, what FMA's settings call an aggregator connector."""

    def run(self, model: int, *, now: Callable[[], datetime]) -> Outcome:
        """Aggregate once, if there is enough to aggregate. Raises ModelMissing, Unavailable."""
        ...

    def migrate(self) -> None:
        """As the one of Metadata."""
        ...
