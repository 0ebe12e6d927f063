"""Updates: kept as they were sent, counted where they can be averaged, set aside with a reason where they cannot."""

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction

from foedus.core.arrays import Layout
from foedus.core.errors import Conflict, Forbidden, Invalid, TooLarge, Unavailable
from foedus.core.rounds import Phase
from foedus.ports import Ports
from foedus.records.aggregation.models import Client, FederatedModel, ModelAggregate, ModelUpdate
from foedus.records.learning.models import Project
from foedus.records.learning.queries import find_latest_checkpoint, lock_project
from foedus.services.aggregation import layouts, placing, rules, schemas
from foedus.services.aggregation.access import (
    Caller,
    find_client,
    owned,
    readable_updates,
    require_known,
    require_own,
    require_registered,
)
from foedus.services.aggregation.errors import FieldInvalid, missing_reference
from foedus.services.aggregation.incoming import Weights, as_tensors
from foedus.services.learning.equipment import needs_now
from foedus.services.learning.looking import Look
from foedus.services.learning.models_in import check_whole, store
from foedus.services.learning.rounds import advance
from foedus.services.shell import audit

_TRIES = 5  # until an update meets the layout it was prepared for; others may fix it first


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitUpdate:
    """``client`` is whom a user hands it in for; a client's own UUID comes with the caller.

    ``examples`` (positive) and ``metrics`` are for aggregators that weigh updates, or need to know how good they are.
    """

    federated_model: int
    base_aggregate: int | None = None
    client: UUID | None = None
    examples: float = 1.0
    metrics: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class _Stored:
    """What of an update is in the blob store: its columns, or why there are no tensors."""

    columns: dict[str, Any] = field(default_factory=dict)
    obstacle: str = ""
    layout: Layout | None = None
    blobs: list[str] = field(default_factory=list)


def submit_update(
    ports: Ports, caller: Caller, command: SubmitUpdate, weights: Weights, *, now: datetime
) -> ModelUpdate:
    """Keep an update durably, and let the model move on. Raises FieldInvalid, Forbidden."""
    model, client = _addressed(caller, command)
    base = _base(model, command.base_aggregate)
    rules.check_metrics(model.aggregator, model.aggregator_options, command.metrics)
    schemas.check_weights(model.update_schema, weights)
    row = ModelUpdate(
        federated_model=model, client=client, base_aggregate=base, created_on=now,
        examples=command.examples, metrics=dict(command.metrics),
    )  # fmt: skip
    return _keep(ports, caller, row, weights, now)


def change_update(
    ports: Ports, caller: Caller, pk: int, changes: Mapping[str, int | None], weights: Weights | None, *, now: datetime
) -> ModelUpdate:
    """Replace the weights (None: as they are) or, by ``base_aggregate`` in ``changes``, what they were trained from.

    Raises FieldInvalid; Conflict once the update is part of an aggregate.
    """
    row = owned(caller, readable_updates(caller), pk)
    model = row.federated_model
    if weights is not None:
        schemas.check_weights(model.update_schema, weights)
    if "base_aggregate" in changes:
        row.base_aggregate = _base(model, changes["base_aggregate"])
    if weights is not None:
        return _keep(ports, caller, row, weights, now)
    with transaction.atomic():
        project = lock_project(model.project_id)
        _take_back(row)
        if row.tensors:
            row.status, row.reason = ModelUpdate.Status.PENDING, ""
            row.save()
            _settle(ports, model, project, row, "", None, now)
        row.save()
    return row


def delete_update(ports: Ports, caller: Caller, pk: int, *, now: datetime) -> None:
    """Remove an update with its files; an aggregate that it went into stays. Raises Unavailable while it is used."""
    found = owned(caller, readable_updates(caller), pk)
    with transaction.atomic():
        project = lock_project(found.federated_model.project_id)
        row = ModelUpdate.objects.select_related("update__round", "federated_model").get(pk=pk)
        placing.withdraw(row)
        forget_files(ports, [row.document, row.tensors])
        row.delete()
        layouts.free_if_unused(project, row.federated_model)
        audit.record(caller.actor, "delete", f"model_update:{pk}", organisation_id=project.organisation_id, now=now)


def forget_files(ports: Ports, blobs: Iterable[str]) -> None:
    """Remove blobs once the present transaction has removed the rows that name them."""
    transaction.on_commit(partial(_delete, ports, set(blobs) - {""}))


def _delete(ports: Ports, blobs: Iterable[str]) -> None:
    for blob in blobs:
        ports.blobs.delete(blob)


def _addressed(caller: Caller, command: SubmitUpdate) -> tuple[FederatedModel, Client]:
    """The model, and the client that the update counts for. Raises FieldInvalid, Forbidden."""
    require_known(caller)
    model = FederatedModel.objects.select_related("project").filter(pk=command.federated_model).first()
    if model is None:
        raise missing_reference("federated_model", command.federated_model)
    if caller.client is not None:
        require_registered(caller.client, model)
        return model, caller.client
    require_own(caller, model)
    if command.client is None:
        raise FieldInvalid("client", "This field is required.")
    client = find_client(command.client)
    if client is None:
        raise missing_reference("client", command.client)
    try:
        require_registered(client, model)
    except Forbidden:
        raise FieldInvalid("client", "This client is not registered to the model.") from None
    return model, client


def _base(model: FederatedModel, pk: int | None) -> ModelAggregate | None:
    if pk is None:
        return None
    base = ModelAggregate.objects.select_related("checkpoint").filter(pk=pk, federated_model=model).first()
    if base is None:
        raise missing_reference("base_aggregate", pk)
    return base


def _keep(ports: Ports, caller: Caller, row: ModelUpdate, weights: Weights, now: datetime) -> ModelUpdate:
    document = "" if weights.is_binary else store(ports, _folder(row), weights.document)
    stored = _Stored()
    try:
        for _ in range(_TRIES):
            stored = _prepare(ports, row, weights, document)
            if _written(ports, caller, row, weights, stored, now):
                return row
            forget_files(ports, stored.blobs)
    except BaseException:
        forget_files(ports, [document, *stored.blobs])
        raise
    forget_files(ports, [document])
    raise Unavailable("the model's layout keeps changing; try again in a moment", retry_after_s=1)


def _prepare(ports: Ports, row: ModelUpdate, weights: Weights, document: str) -> _Stored:
    """Store the tensors in the model's present layout, or say why there are none."""
    model = FederatedModel.objects.select_related("project").get(pk=row.federated_model_id)
    layout = model.project.model_layout
    stored = _Stored(layout=layout, obstacle=layouts.mismatch(model, model.project, weights))
    stored.columns = {
        "document": document, "is_binary": weights.is_binary, "size_bytes": weights.document.size_bytes,
        "tensors": "", "digest": "", "form": "", "fingerprint": "",
    }  # fmt: skip
    if stored.obstacle or weights.structure is None:
        return _unaveraged(stored, weights)
    with ExitStack() as stack:
        try:
            tensors = stack.enter_context(as_tensors(ports, weights, layout))
            check_whole(ports, tensors, needs_now(model.project), find_latest_checkpoint(model.project))
        except TooLarge:
            raise
        except Invalid as exc:
            stored.obstacle = exc.message
            return _unaveraged(stored, weights)
        kept = layout or weights.structure.layout
        blob = store(ports, _folder(row), tensors)
        stored.blobs.append(blob)
        stored.columns |= {
            "document": document or blob, "tensors": blob, "digest": tensors.digest, "size_bytes": tensors.size_bytes,
            "form": weights.structure.form, "fingerprint": kept.fingerprint,
        }  # fmt: skip
    return stored


def _unaveraged(stored: _Stored, weights: Weights) -> _Stored:
    """Only JSON is kept where it cannot be averaged; whoever sends tensors knows what a tensor is."""
    if weights.is_binary:
        raise FieldInvalid("data", f"These tensors cannot be used: {stored.obstacle}.")
    return stored


def _written(ports: Ports, caller: Caller, row: ModelUpdate, weights: Weights, stored: _Stored, now: datetime) -> bool:
    """Write the row and place it; False when the layout is no longer the one that the tensors were made for."""
    with transaction.atomic():
        project = lock_project(row.federated_model.project_id)
        if project.model_layout != stored.layout:
            return False
        model = FederatedModel.objects.get(pk=row.federated_model_id)
        row.federated_model = model
        if row.pk is None:
            require_registered(row.client, model)
        else:
            _take_back(row)
            forget_files(ports, [row.document, row.tensors])
        for name, value in stored.columns.items():
            setattr(row, name, value)
        row.status, row.reason = ModelUpdate.Status.PENDING, ""
        row.save()
        _settle(ports, model, project, row, stored.obstacle, weights, now)
        audit.record(caller.actor, "submit", f"model_update:{row.pk}", organisation_id=project.organisation_id, now=now)
    return True


def _settle(
    ports: Ports,
    model: FederatedModel,
    project: Project,
    row: ModelUpdate,
    obstacle: str,
    weights: Weights | None,
    now: datetime,
) -> None:
    """Place the update or set it aside, and let the round move on."""
    if obstacle:
        placing.set_aside(ports, project, row, obstacle, now)
        layouts.free_if_unused(project, model)
        return
    if project.layout is None and weights is not None and weights.structure is not None:
        structure = weights.structure
        layouts.begin_from_nothing(ports, model, project, structure.layout, structure.form, now)
    placing.place(ports, project, row, now)
    advance(ports, project, now, look=Look.after_update(None))  # nobody is invited here


def _take_back(row: ModelUpdate) -> None:
    """Raises Conflict for an update that is part of an aggregate, Unavailable for one that is becoming so."""
    row.refresh_from_db(fields=["status", "update", "applied_aggregate"])
    if row.status == ModelUpdate.Status.COMPLETE:
        raise Conflict(f"This update is part of aggregate {row.applied_aggregate_id} and cannot be changed any more.")
    if row.update is not None and row.update.round.state is Phase.COMBINING:
        raise Unavailable(placing.BUSY, retry_after_s=0.5)
    placing.withdraw(row)


def _folder(row: ModelUpdate) -> str:
    return f"projects/{row.federated_model.project_id}/documents"
