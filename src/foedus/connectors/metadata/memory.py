"""Metadata in this process, for tests and for trying an aggregator without a database: gone when it ends."""

import itertools
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Self
from uuid import uuid4

from foedus.core.errors import Invalid, NoUpdates
from foedus.ports import Ports
from foedus.ports.metadata import Claim, ClaimLost, FederatedModel, ModelMissing, ModelUpdate, NotClaimable

WAITING, CLAIMED, COMPLETE, REJECTED = "waiting", "claimed", "complete", "rejected"


@dataclass(slots=True)
class _Update:
    id: int
    model: int
    client: str
    data: str
    base: int | None
    state: str = WAITING
    reason: str = ""


@dataclass(slots=True)
class _Run:
    claim: Claim
    aggregate: int | None = None
    data: str = ""


@dataclass(frozen=True, slots=True)
class MemoryAggregate:
    id: int
    parent: int | None
    data: str
    updates: tuple[int, ...]


class MemoryMetadata:
    """Models and updates come in by ``add_model`` and ``add_update``, as an API would put them there."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._models: dict[int, FederatedModel] = {}
        self._updates: dict[int, _Update] = {}
        self._aggregates: dict[int, list[MemoryAggregate]] = {}
        self._runs: dict[str, _Run] = {}
        self._current: dict[int, str] = {}

    @classmethod
    def from_settings(cls, options: Mapping[str, Any], ports: Ports) -> Self:  # noqa: ARG003 - all are called alike
        if options:
            raise Invalid(f"MemoryMetadataConnector has no options, found {', '.join(map(repr, options))}")
        return cls()

    def add_model(self, aggregator: str = "average_layers", **fields: Any) -> int:
        with self._lock:
            model = FederatedModel(id=next(self._ids), aggregator=aggregator, **fields)
            self._models[model.id], self._aggregates[model.id] = model, []
            return model.id

    def add_client(self, model: int, client: str) -> None:
        with self._lock:
            known = self._model(model)
            self._models[model] = replace(known, clients=known.clients | {client})

    def remove_client(self, model: int, client: str) -> None:
        with self._lock:
            known = self._model(model)
            self._models[model] = replace(known, clients=known.clients - {client})

    def add_update(self, model: int, client: str, data: str, base: int | None = None) -> int:
        with self._lock:
            update = _Update(next(self._ids), self._model(model).id, client, data, base)
            self._updates[update.id] = update
            return update.id

    def state(self, update: int) -> tuple[str, str]:
        """Where an update stands, and the reason it carries."""
        with self._lock:
            return self._updates[update].state, self._updates[update].reason

    def data(self, update: int) -> str:
        """The key of an update's weights."""
        with self._lock:
            return self._updates[update].data

    def aggregates(self, model: int) -> tuple[MemoryAggregate, ...]:
        with self._lock:
            return tuple(self._aggregates[self._model(model).id])

    def get_model(self, model: int) -> FederatedModel:
        with self._lock:
            return self._model(model)

    def waiting(self, model: int, *, now: datetime) -> Sequence[ModelUpdate]:
        with self._lock:
            self._model(model)
            self._expire(model, now)
            return [self._seen(u) for u in self._updates.values() if u.model == model and u.state == WAITING]

    def claim(self, model: int, updates: Sequence[int], *, now: datetime, lease: timedelta) -> Claim:
        with self._lock:
            self._model(model)
            self._expire(model, now)
            if model in self._current:
                raise NotClaimable(model=model)
            wanted = [self._updates.get(id_) for id_ in dict.fromkeys(updates)]
            taken = [u for u in wanted if u is not None and u.model == model and u.state == WAITING]
            if not taken or len(taken) < len(wanted):
                raise NotClaimable(model=model)
            aggregates = self._aggregates[model]
            claim = Claim(
                model=model,
                run=uuid4().hex,
                updates=tuple(self._seen(u) for u in taken),
                parent=aggregates[-1].id if aggregates else None,
                until=now + lease,
            )
            for update in taken:
                update.state = CLAIMED
            self._runs[claim.run], self._current[model] = _Run(claim), claim.run
            return claim

    def renew(self, claim: Claim, *, now: datetime, lease: timedelta) -> Claim:
        with self._lock:
            run = self._held(claim, now)
            run.claim = replace(run.claim, until=now + lease)
            return run.claim

    def reject(self, claim: Claim, update: int, reason: str, *, now: datetime) -> None:
        with self._lock:
            self._held(claim, now)
            if update not in {claimed.id for claimed in claim.updates}:
                raise ClaimLost("This update is not part of the claim.", model=claim.model, update=update)
            self._updates[update].state, self._updates[update].reason = REJECTED, reason

    def finish(self, claim: Claim, data: str, *, now: datetime) -> int:
        with self._lock:
            done = self._runs.get(claim.run)
            if done is not None and done.aggregate is not None and done.data == data:
                return done.aggregate
            run = self._held(claim, now)
            used = [u for u in self._of(claim) if u.state == CLAIMED]
            if not used:
                raise NoUpdates("Every update of this claim was rejected.", model=claim.model)
            aggregate = MemoryAggregate(next(self._ids), claim.parent, data, tuple(u.id for u in used))
            self._aggregates[claim.model].append(aggregate)
            for update in used:
                update.state, update.reason = COMPLETE, ""
            run.aggregate, run.data = aggregate.id, data
            del self._current[claim.model]
            return aggregate.id

    def release(self, claim: Claim, reason: str, *, now: datetime) -> None:  # noqa: ARG002 - late is no matter here
        with self._lock:
            if self._current.get(claim.model) == claim.run:
                self._give_back(claim, reason)

    def migrate(self) -> None:
        """There is nothing to migrate."""

    def _model(self, model: int) -> FederatedModel:
        try:
            return self._models[model]
        except KeyError as exc:
            raise ModelMissing(model=model) from exc

    def _of(self, claim: Claim) -> list[_Update]:
        return [self._updates[claimed.id] for claimed in claim.updates]

    def _held(self, claim: Claim, now: datetime) -> _Run:
        self._expire(claim.model, now)
        if self._current.get(claim.model) != claim.run:
            raise ClaimLost(model=claim.model)
        return self._runs[claim.run]

    def _expire(self, model: int, now: datetime) -> None:
        run = self._runs.get(self._current.get(model, ""))
        if run is not None and run.claim.until <= now:
            self._give_back(run.claim, "The run that had this update ended half-way.")

    def _give_back(self, claim: Claim, reason: str) -> None:
        for update in self._of(claim):
            if update.state == CLAIMED:
                update.state, update.reason = WAITING, reason
        del self._current[claim.model]

    def _seen(self, update: _Update) -> ModelUpdate:
        staleness = self._staleness(update)
        return ModelUpdate(id=update.id, client=update.client, data=update.data, staleness=staleness)

    def _staleness(self, update: _Update) -> int | None:
        """Here aggregates are a line, each the child of the one before."""
        line = [aggregate.id for aggregate in reversed(self._aggregates[update.model])]
        if not line:
            return 0
        return line.index(update.base) if update.base in line else None
