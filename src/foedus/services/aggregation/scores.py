"""Scores: what clients found when they tried an aggregate on their own data."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from foedus.core.errors import Forbidden
from foedus.ports import Ports
from foedus.records.aggregation.models import Client, ClientAggregateScore, ModelAggregate
from foedus.records.learning.queries import lock_project
from foedus.services.aggregation import schemas, score_rules
from foedus.services.aggregation.access import (
    Caller,
    find_client,
    owned,
    readable_scores,
    require_known,
    require_own,
    require_registered,
)
from foedus.services.aggregation.errors import CROSS_FIELD, FieldInvalid, missing_reference
from foedus.services.shell import audit
from foedus.services.shell.events import emit


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitScore:
    aggregate: int
    client: UUID
    results: Any


def submit_score(ports: Ports, caller: Caller, command: SubmitScore, *, now: datetime) -> ClientAggregateScore:
    """One client's score of one aggregate, once. Raises FieldInvalid, Forbidden."""
    aggregate, client = _addressed(caller, command)
    model = aggregate.federated_model
    schemas.check_results(model.client_agg_results_schema, command.results)
    with transaction.atomic():
        project = lock_project(model.project_id)
        score, is_new = ClientAggregateScore.objects.get_or_create(
            aggregate=aggregate, client=client, defaults={"validation_results": command.results, "created_on": now}
        )
        if not is_new:
            raise FieldInvalid(CROSS_FIELD, "The fields aggregate, client must make a unique set.")
        emit(
            ports, project, "score.reported", now,
            checkpoint=aggregate.checkpoint.number, by=client.participant.name, examples=1.0,
            metrics=_metrics(command.results),
        )  # fmt: skip
        score_rules.apply(ports, project, aggregate, now)
    return score


def change_score(ports: Ports, caller: Caller, pk: int, results: Any, *, now: datetime) -> ClientAggregateScore:
    """Put other results in the place of a score's. Raises FieldInvalid."""
    score = owned(caller, readable_scores(caller), pk)
    aggregate = _aggregates().get(pk=score.aggregate_id)
    schemas.check_results(aggregate.federated_model.client_agg_results_schema, results)
    with transaction.atomic():
        project = lock_project(aggregate.federated_model.project_id)
        score.validation_results = results
        score.save(update_fields=["validation_results"])
        score_rules.apply(ports, project, aggregate, now)
        audit.record(caller.actor, "change", f"score:{pk}", organisation_id=project.organisation_id, now=now)
    return score


def delete_score(ports: Ports, caller: Caller, pk: int, *, now: datetime) -> None:
    score = owned(caller, readable_scores(caller), pk)
    aggregate = _aggregates().get(pk=score.aggregate_id)
    with transaction.atomic():
        project = lock_project(aggregate.federated_model.project_id)
        score.delete()
        score_rules.apply(ports, project, aggregate, now)
        audit.record(caller.actor, "delete", f"score:{pk}", organisation_id=project.organisation_id, now=now)


def _addressed(caller: Caller, command: SubmitScore) -> tuple[ModelAggregate, Client]:
    require_known(caller)
    aggregate = _aggregates().filter(pk=command.aggregate).first()
    if aggregate is None:
        raise missing_reference("aggregate", command.aggregate)
    model = aggregate.federated_model
    if caller.client is not None:
        require_registered(caller.client, model)
        if command.client != caller.client.pk:
            raise FieldInvalid("client", "A client hands in scores of its own only.")
        return aggregate, caller.client
    require_own(caller, model)
    client = find_client(command.client)
    if client is None:
        raise missing_reference("client", command.client)
    try:
        require_registered(client, model)
    except Forbidden:
        raise FieldInvalid("client", "This client is not registered to the model.") from None
    return aggregate, client


def _aggregates() -> Any:
    return ModelAggregate.objects.select_related("checkpoint", "federated_model__developer")


def _metrics(results: Any) -> dict[str, float]:
    if not isinstance(results, dict):
        results = {"score": results}
    numbers = {
        str(name): score_rules.value_in(value, None) for name, value in results.items() if not isinstance(value, dict)
    }
    return {name: number for name, number in list(numbers.items())[:64] if number is not None}
