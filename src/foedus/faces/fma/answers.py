"""What is answered, in the words of the wire."""

from collections.abc import Iterable, Mapping
from typing import Any

from foedus.faces.fma.addresses import AGGREGATES, ARTIFACTS, UPDATES, Addresses
from foedus.records.aggregation.models import (
    ClientAggregateScore,
    FederatedModel,
    ModelAggregate,
    ModelArtifact,
    ModelUpdate,
)
from foedus.records.aggregation.queries import client_uuids
from foedus.services.aggregation.tree import Place, places


def models_out(rows: list[FederatedModel]) -> list[dict[str, Any]]:
    clients = client_uuids(rows)
    return [_model(row, clients.get(row.project_id, [])) for row in rows]


def model_out(row: FederatedModel) -> dict[str, Any]:
    return models_out([row])[0]


def update_out(row: ModelUpdate, status: int, addresses: Addresses, *, for_client: bool) -> dict[str, Any]:
    """Clients see neither what became of their update nor why."""
    inner = {} if for_client else {"status": status}
    outer: dict[str, Any] = {} if for_client else {"applied_aggregate": row.applied_aggregate_id}
    if row.reason and not for_client:
        outer["reason"] = row.reason
    return {
        "id": row.pk,
        "data": addresses.absolute(UPDATES, row.pk),
        **inner,
        "created_on": row.created_on,
        "client": row.client_id,
        "federated_model": row.federated_model_id,
        "base_aggregate": row.base_aggregate_id,
        **outer,
    }


def aggregates_out(rows: list[ModelAggregate], addresses: Addresses) -> list[dict[str, Any]]:
    found = places(rows)
    return [
        {"id": row.pk, "result": addresses.absolute(AGGREGATES, row.pk), **after_result(row, found)} for row in rows
    ]


def aggregate_out(row: ModelAggregate, result: str) -> dict[str, Any]:
    return {"id": row.pk, "result": result, **after_result(row, places([row]))}


def after_result(row: ModelAggregate, found: Mapping[int, Place]) -> dict[str, Any]:
    """An aggregate's fields behind its weights."""
    place = found[row.pk]
    return {
        "validation_score": row.validation_score,
        "created_on": row.created_on,
        "lft": place.left,
        "rght": place.right,
        "tree_id": place.tree,
        "level": place.level,
        "federated_model": row.federated_model_id,
        "parent": row.parent_id,
    }


def artifact_out(row: ModelArtifact, addresses: Addresses) -> dict[str, Any]:
    return {
        "id": row.pk,
        "values": addresses.path(ARTIFACTS, row.pk),
        "version": row.version,
        "created_on": row.created_on,
        "federated_model": row.federated_model_id,
    }


def scores_out(rows: Iterable[ClientAggregateScore]) -> list[dict[str, Any]]:
    return [score_out(row) for row in rows]


def score_out(row: ClientAggregateScore) -> dict[str, Any]:
    return {
        "id": row.pk,
        "validation_results": row.validation_results,
        "created_on": row.created_on,
        "aggregate": row.aggregate_id,
        "client": row.client_id,
    }


def _model(row: FederatedModel, clients: list[Any]) -> dict[str, Any]:
    more = {"score_rule": row.score_rule, "aggregator_options": row.aggregator_options}
    return {
        "id": row.pk,
        "allow_aggregation": row.allow_aggregation,
        "aggregator": row.aggregator,
        "requirement": row.requirement,
        "name": row.name,
        "requirement_args": row.requirement_args,
        "update_schema": row.update_schema,
        "client_agg_results_schema": row.client_agg_results_schema,
        "furthest_base_agg": row.furthest_base_agg,
        "created_on": row.created_on,
        "last_modified": row.last_modified,
        "developer": row.developer_id,
        "current_artifact": row.current_artifact_id,
        "clients": clients,
        **{name: value for name, value in more.items() if value is not None},  # the dialect's own clients know none
    }
