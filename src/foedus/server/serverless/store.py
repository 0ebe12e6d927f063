"""Aggregation over any metadata connector: what FMA's settings may name ``StoreAggConnector``.

The updates are JSON, and the aggregate is their plain mean. One that cannot be read or does not fit the others is
rejected by name, and holds nobody up.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Self
from uuid import uuid4

import structlog

from foedus.core.codecs import json_stream
from foedus.core.codecs.json_shapes import Structure
from foedus.core.errors import Invalid, NotFound, PlatformError
from foedus.core.folding import Update as Contribution
from foedus.core.folding import plain_mean
from foedus.core.registry import build
from foedus.core.rounds import Combine, Phase, Policy, RoundView, Wait
from foedus.ports import Ports
from foedus.ports.blobs import Blobs
from foedus.ports.metadata import Claim, FederatedModel, Metadata, ModelUpdate, NotClaimable, Outcome
from foedus.server.leases import renewing
from foedus.services.aggregation.incoming import json_bytes_in
from foedus.services.aggregation.rules import policy_of
from foedus.services.shell.staging import staged

log = structlog.get_logger()

MEANS = ("average_layers", "avg_values_if_data")
LEASE = timedelta(seconds=30)
MAX_RESULT_BYTES = 4 << 30

Loaded = tuple[Structure, Contribution]


class StoreAggConnector:
    """``data`` holds the weights of updates and aggregates; without one they are in the service's own blobs."""

    def __init__(self, metadata: Metadata, data: Blobs, ports: Ports) -> None:
        self._metadata = metadata
        self._data = data
        self._ports = ports

    @classmethod
    def from_settings(cls, metadata: Metadata, data: Blobs | None, ports: Ports) -> Self:
        return cls(metadata, data or ports.blobs, ports)

    def run(self, model: int, *, now: Callable[[], datetime]) -> Outcome:
        known = self._metadata.get_model(model)
        if not known.active:
            return Outcome(model=model, reason="Aggregation is paused.")
        if known.aggregator not in MEANS:
            raise Invalid(f"{known.aggregator!r} is not one of {', '.join(MEANS)}", model=model)
        ready = eligible(known, self._metadata.waiting(model, now=now()))
        if reason := unmet(known, ready, now()):
            return Outcome(model=model, reason=reason)
        try:
            claim = self._metadata.claim(model, [update.id for update in ready], now=now(), lease=LEASE)
        except NotClaimable:
            return Outcome(model=model, reason="Another run is at this model.")
        try:
            with renewing(lambda: self._renewed(claim, now())):
                return self._aggregate(known, claim, now)
        except Exception as exc:
            reason = exc.message if isinstance(exc, PlatformError) else f"The run failed: {type(exc).__name__}."
            self._metadata.release(claim, reason, now=now())
            raise

    def migrate(self) -> None:
        self._metadata.migrate()

    def _renewed(self, claim: Claim, now: datetime) -> bool:
        """From a thread beside the run, which finds out by itself when the claim is lost."""
        try:
            self._metadata.renew(claim, now=now, lease=LEASE)
        except PlatformError as exc:
            log.warning("claim.not_renewed", model=claim.model, error=str(exc))
            return False
        return True

    def _aggregate(self, model: FederatedModel, claim: Claim, now: Callable[[], datetime]) -> Outcome:
        with ExitStack() as stack:
            good, bad = self._load(claim.updates, stack)
            for update, why in bad.items():
                self._metadata.reject(claim, update, why, now=now())
            left = [update for update in claim.updates if update.id in good]
            if reason := unmet(model, left, now()):
                self._metadata.release(claim, reason, now=now())
                return Outcome(model=model.id, reason=reason, rejected=tuple(bad))
            form = next(iter(good.values()))[0].form
            mean = plain_mean(contribution for _, contribution in good.values())
            data = self._store(model, json_stream.write(mean, form))
        aggregate = self._metadata.finish(claim, data, now=now())
        return Outcome(model=model.id, aggregate=aggregate, rejected=tuple(bad))

    def _load(self, updates: Sequence[ModelUpdate], stack: ExitStack) -> tuple[dict[int, Loaded], dict[int, str]]:
        """The updates' numbers on this machine, and why some cannot be used: unreadable, or unlike most others."""
        found: dict[int, Loaded] = {}
        bad: dict[int, str] = {}
        for update in updates:
            try:
                weights = stack.enter_context(json_bytes_in(self._ports, self._data.read(update.data)))
            except (Invalid, NotFound) as exc:
                bad[update.id] = exc.message
                continue
            if weights.structure is None or weights.numbers is None:
                bad[update.id] = f"It cannot be averaged: {weights.obstacle}."
                continue
            key = f"{weights.document.digest}/{update.client}"
            found[update.id] = weights.structure, Contribution(key=key, weight=1.0, source=weights.numbers)
        if found:
            usual = Counter(_shape(structure) for structure, _ in found.values()).most_common(1)[0][0]
            for update_id in [id_ for id_, (structure, _) in found.items() if _shape(structure) != usual]:
                del found[update_id]
                bad[update_id] = "Its arrays have other shapes than those of most updates."
        return found, bad

    def _store(self, model: FederatedModel, chunks: Iterator[bytes]) -> str:
        with staged(self._ports.scratch, chunks, MAX_RESULT_BYTES) as body:
            key = f"model_aggregates/{model.id}/{body.digest}-{uuid4().hex[:8]}"
            self._data.put_file(key, body.path)
        return key


def eligible(model: FederatedModel, updates: Sequence[ModelUpdate]) -> list[ModelUpdate]:
    """Those of clients registered now whose base is not too old; being based on the newest aggregate counts as 0."""
    bound = model.furthest_base
    return [
        update
        for update in updates
        if update.client in model.clients
        and (bound is None or (update.staleness is not None and update.staleness <= bound))
    ]


def unmet(model: FederatedModel, updates: Sequence[ModelUpdate], now: datetime) -> str:
    """Why these updates are not enough; empty when they are. Raises Invalid for a requirement that nobody knows."""
    if not updates:
        return "There are no updates to aggregate."
    arguments = list(model.arguments) or None
    rule = policy_of(model.requirement, arguments, model.furthest_base)
    policy: Policy = build("foedus.policies", rule["name"], rule["options"])
    clients = {update.client for update in updates}
    view = RoundView(
        number=1, phase=Phase.COLLECTING, opened_at=now, registered=len(model.clients), reported=len(clients),
        updates=len(updates), covered=len(clients & model.clients),
    )  # fmt: skip
    decision = policy.decide(view, now)
    if isinstance(decision, Combine):
        return ""
    return " ".join(reason.text for reason in decision.reasons) if isinstance(decision, Wait) else "It has to wait."


def _shape(structure: Structure) -> str:
    return hashlib.sha256(f"{structure.form}{structure.layout.fingerprint}".encode()).hexdigest()
