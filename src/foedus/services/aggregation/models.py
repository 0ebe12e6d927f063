"""Federated models: made, changed and deleted by their developers."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from django.db import transaction

from foedus.core.rounds import Phase
from foedus.ports import Ports
from foedus.records.accounts.models import Organisation, User
from foedus.records.aggregation.models import Client, FederatedModel, ModelArtifact, ModelUpdate
from foedus.records.learning.models import Artifact, Checkpoint, Project, Round
from foedus.records.learning.queries import lock_project
from foedus.services.aggregation import membership, schemas, score_rules
from foedus.services.aggregation.access import Caller, get_owned_model, may_name, require_user
from foedus.services.aggregation.errors import FieldInvalid
from foedus.services.aggregation.incoming import Weights, as_tensors
from foedus.services.aggregation.layouts import begin
from foedus.services.aggregation.placing import place_waiting, set_aside_stale
from foedus.services.aggregation.rules import check_together, policy_of, strategy_of
from foedus.services.learning import rounds
from foedus.services.learning.models_in import store
from foedus.services.learning.projects import delete_project
from foedus.services.shell import audit
from foedus.services.shell.authorisation import SYSTEM
from foedus.services.shell.events import emit

FACE = "fma"
FIRST_VERSION = "1.0.0"
COLUMNS = (
    "name", "aggregator", "aggregator_options", "requirement", "requirement_args", "update_schema",
    "client_agg_results_schema", "furthest_base_agg", "allow_aggregation", "score_rule", "open_registration",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a call says of a model. ``columns`` are some of COLUMNS; ``clients`` None: as they are."""

    columns: Mapping[str, Any]
    developer: User | None = None
    clients: tuple[Client, ...] | None = None


def create_model(
    ports: Ports, caller: Caller, wanted: Wanted, initial: Weights | None, *, now: datetime
) -> FederatedModel:
    """A new model; its initial weights, if any, become artifact 1.0.0. Raises FieldInvalid, Forbidden."""
    require_user(caller)
    developer = _developer(caller, wanted)
    assert developer is not None, "the schema asks for a developer"  # noqa: S101
    model = FederatedModel(developer=developer, created_on=now, last_modified=now, **wanted.columns)
    _check(model)
    with transaction.atomic():
        project = _make_project(model, developer, now)
        model.project = project
        model.save()
        project.key = _free_key(model)
        project.save(update_fields=["key"])
        emit(ports, project, "project.created", now, key=project.key)
        if initial is not None:
            _keep_initial(ports, model, project, initial, now)
        membership.set_clients(ports, model, project, wanted.clients or (), now)
        # Before the commit: an entry whose model was never kept drops itself, a model without one would stand still.
        ports.schedule.keep(model.pk, active=model.allow_aggregation)
        audit.record(caller.actor, "create", f"model:{model.pk}", organisation_id=project.organisation_id, now=now)
    return model


def change_model(ports: Ports, caller: Caller, pk: int, wanted: Wanted, *, now: datetime) -> FederatedModel:
    """Change a model, with effect on the round that is open. Raises FieldInvalid, NotFound."""
    found = get_owned_model(caller, pk)
    developer = _developer(caller, wanted)
    with transaction.atomic():
        project = lock_project(found.project_id)
        model = FederatedModel.objects.get(pk=pk)
        was_allowed = model.allow_aggregation
        for name, value in wanted.columns.items():
            setattr(model, name, value)
        if developer is not None:
            model.developer = developer
        _check(model)
        model.last_modified = now
        changed = [*wanted.columns, "last_modified", *(["developer"] if developer else [])]
        model.save(update_fields=changed)
        _apply(ports, model, project, now, was_allowed=was_allowed)
        if model.allow_aggregation != was_allowed:
            ports.schedule.keep(pk, active=model.allow_aggregation)
        if wanted.clients is not None:
            membership.set_clients(ports, model, project, wanted.clients, now)
        audit.record(
            caller.actor, "change", f"model:{pk}", organisation_id=project.organisation_id, now=now, fields=changed
        )
        rounds.advance(ports, project, now)
    return model


def delete_model(ports: Ports, caller: Caller, pk: int, *, now: datetime) -> None:
    """Remove a model with its updates, aggregates, artifacts, scores, and all of their files."""
    model = get_owned_model(caller, pk)
    with transaction.atomic():
        organisation_id = model.project.organisation_id
        audit.record(caller.actor, "delete", f"model:{pk}", organisation_id=organisation_id, now=now)
        delete_project(ports, SYSTEM, model.project.key, now=now)
        transaction.on_commit(lambda: ports.schedule.drop(pk), robust=True)


def _developer(caller: Caller, wanted: Wanted) -> User | None:
    user = require_user(caller)
    if wanted.developer is not None and not may_name(user, wanted.developer):
        raise FieldInvalid("developer", "Only staff may name another developer than themselves, and only of theirs.")
    return wanted.developer


def _check(model: FederatedModel) -> None:
    policy_of(model.requirement, model.requirement_args, model.furthest_base_agg)
    check_together(model.aggregator, model.aggregator_options, model.requirement, model.requirement_args)
    schemas.check_schema("update_schema", model.update_schema)
    schemas.check_schema("client_agg_results_schema", model.client_agg_results_schema)
    score_rules.check(model.score_rule)


def _make_project(model: FederatedModel, developer: User, now: datetime) -> Project:
    organisation = developer.organisation
    if organisation is None:
        organisation, _ = Organisation.objects.get_or_create(name="default", defaults={"created_at": now})
    return Project.objects.create(
        key=f"fma-{uuid4().hex}",  # until the model has a number
        title=model.name,
        organisation=organisation,
        strategy=strategy_of(model.aggregator, model.aggregator_options),
        policy=policy_of(model.requirement, model.requirement_args, model.furthest_base_agg),
        face=FACE,
        created_at=now,
    )


def _free_key(model: FederatedModel) -> str:
    """``fma-<number>``, unless an operator took that name for something else."""
    key = f"fma-{model.pk}"
    return key if not Project.objects.filter(key=key).exists() else model.project.key


def _keep_initial(ports: Ports, model: FederatedModel, project: Project, initial: Weights, now: datetime) -> None:
    artifact, document = None, ""
    if initial.structure is not None:
        with as_tensors(ports, initial, None) as tensors:
            begin(ports, model, project, tensors, initial.structure.form, now)
        first = Checkpoint.objects.get(project=project, number=0)
        artifact = Artifact.objects.create(project=project, checkpoint=first, version=FIRST_VERSION, created_at=now)
        emit(ports, project, "artifact.published", now, checkpoint=0, version=FIRST_VERSION)
        model.has_initial_model = True
    else:
        document = store(ports, f"projects/{project.pk}/documents", initial.document)
    model.current_artifact = ModelArtifact.objects.create(
        federated_model=model, artifact=artifact, document=document, version=FIRST_VERSION, created_on=now
    )
    model.save(update_fields=["has_initial_model", "current_artifact"])


def _apply(ports: Ports, model: FederatedModel, project: Project, now: datetime, *, was_allowed: bool) -> None:
    """Let the engine do what the columns say, from the open round on unless that is just being combined."""
    project.title = model.name
    project.strategy = strategy_of(model.aggregator, model.aggregator_options)
    project.policy = policy_of(model.requirement, model.requirement_args, model.furthest_base_agg)
    project.save(update_fields=["title", "strategy", "policy"])
    Round.objects.filter(project=project, phase__in=(Phase.WAITING, Phase.COLLECTING)).update(
        strategy=project.strategy, policy=project.policy
    )
    set_aside_stale(ports, project, model, now)
    if model.allow_aggregation == was_allowed or project.state == Project.State.DRAFT:
        return
    if model.allow_aggregation:
        _try_again(ports, model, project, now)
        rounds.run(ports, project, now)
    else:
        rounds.pause(ports, project, now)


def _try_again(ports: Ports, model: FederatedModel, project: Project, now: datetime) -> None:
    """Updates of a round that failed are candidates again once aggregation is allowed again."""
    failed = ModelUpdate.objects.filter(federated_model=model, status=ModelUpdate.Status.FAILED)
    failed.update(status=ModelUpdate.Status.PENDING, update=None, reason="")
    place_waiting(ports, project, model, now)
