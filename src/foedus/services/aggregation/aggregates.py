"""Aggregates: handed in by developers, scored, deleted, published as artifacts."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from foedus.core.errors import Conflict, Invalid, TooLarge, Unavailable
from foedus.core.rounds import Phase
from foedus.ports import Ports
from foedus.records.aggregation.models import FederatedModel, ModelAggregate, ModelArtifact, ModelUpdate
from foedus.records.learning.models import Artifact, Checkpoint, Project, Round, Update
from foedus.records.learning.queries import find_latest_checkpoint, find_open_round, lock_project
from foedus.services.aggregation import layouts, placing, tree
from foedus.services.aggregation.access import Caller, owned, readable_aggregates, require_own, require_user
from foedus.services.aggregation.errors import FieldInvalid, missing_reference
from foedus.services.aggregation.incoming import Weights, as_tensors
from foedus.services.aggregation.updates import forget_files
from foedus.services.learning.models_in import store
from foedus.services.learning.rounds import advance
from foedus.services.shell import audit
from foedus.services.shell.events import emit

MAX_VERSION_CHARACTERS = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadAggregate:
    federated_model: int
    parent: int | None = None
    validation_score: float | None = None


def upload_aggregate(
    ports: Ports, caller: Caller, command: UploadAggregate, weights: Weights, *, now: datetime
) -> ModelAggregate:
    """Make a developer's own weights the model's newest aggregate. Raises FieldInvalid, Forbidden."""
    require_user(caller)
    model = FederatedModel.objects.select_related("project").filter(pk=command.federated_model).first()
    if model is None:
        raise missing_reference("federated_model", command.federated_model)
    require_own(caller, model)
    with transaction.atomic():
        project = lock_project(model.project_id)
        model.refresh_from_db()
        parent = _parent(model, command.parent)
        checkpoint = _new_checkpoint(ports, model, project, weights, now)
        aggregate = tree.add_aggregate(model, checkpoint, parent, now)
        _set_score(aggregate, command.validation_score)
        Round.objects.filter(project=project, phase__in=(Phase.WAITING, Phase.COLLECTING)).update(base=checkpoint)
        placing.set_aside_stale(ports, project, model, now)
        emit(ports, project, "checkpoint.published", now, checkpoint=checkpoint.number, digest=checkpoint.digest)
        audit.record(
            caller.actor, "upload", f"model_aggregate:{aggregate.pk}", organisation_id=project.organisation_id, now=now
        )
        advance(ports, project, now)
    return aggregate


def score_aggregate(caller: Caller, pk: int, score: float | None, *, now: datetime) -> ModelAggregate:
    """Set the score by hand; None lets it be computed from the clients' again."""
    aggregate = owned(caller, readable_aggregates(caller), pk)
    with transaction.atomic():
        project = lock_project(aggregate.federated_model.project_id)
        _set_score(aggregate, score)
        audit.record(caller.actor, "score", f"model_aggregate:{pk}", organisation_id=project.organisation_id, now=now)
    return aggregate


def delete_aggregate(ports: Ports, caller: Caller, pk: int, *, now: datetime) -> None:
    """Remove an aggregate, all below it, their scores and the updates that went into them.

    Raises Conflict for what is published as an artifact, Unavailable while another aggregate is being made.
    """
    aggregate = owned(caller, readable_aggregates(caller), pk)
    model = aggregate.federated_model
    with transaction.atomic():
        project = lock_project(model.project_id)
        current = find_open_round(project)
        if current is not None and current.state is Phase.COMBINING:
            raise Unavailable(placing.BUSY, retry_after_s=0.5)
        gone = ModelAggregate.objects.filter(pk__in=tree.descendants(aggregate))
        checkpoints = Checkpoint.objects.filter(aggregate__in=gone)
        _check_unpublished(checkpoints)
        used = ModelUpdate.objects.filter(applied_aggregate__in=gone)
        _forget_all(ports, checkpoints, used)
        _rebase(project, checkpoints)
        Update.objects.filter(fma__in=used).delete()
        Checkpoint.objects.filter(pk__in=list(checkpoints.values_list("pk", flat=True))).delete()
        layouts.free_if_unused(project, FederatedModel.objects.get(pk=model.pk))
        audit.record(caller.actor, "delete", f"model_aggregate:{pk}", organisation_id=project.organisation_id, now=now)


def publish_aggregate(ports: Ports, caller: Caller, pk: int, version: str, *, now: datetime) -> ModelArtifact:
    """Give an aggregate a version's name, and make that the model's current artifact. Raises FieldInvalid."""
    aggregate = owned(caller, readable_aggregates(caller), pk)
    with transaction.atomic():
        project = lock_project(aggregate.federated_model.project_id)
        artifact = publish(ports, project, aggregate, version, now)
        audit.record(
            caller.actor, "publish", f"artifact:{project.key}/{version}",
            organisation_id=project.organisation_id, now=now, checkpoint=aggregate.checkpoint.number,
        )  # fmt: skip
    return artifact


def publish(ports: Ports, project: Project, aggregate: ModelAggregate, version: str, now: datetime) -> ModelArtifact:
    """The same for callers that asked for leave and hold the project's lock. Raises FieldInvalid."""
    if not version.strip() or not version.isprintable():
        raise FieldInvalid("version", "This field may not be blank, and is printable characters on one line.")
    if len(version) > MAX_VERSION_CHARACTERS:
        raise FieldInvalid("version", f"Ensure this field has no more than {MAX_VERSION_CHARACTERS} characters.")
    model = aggregate.federated_model
    if ModelArtifact.objects.filter(federated_model=model, version=version).exists():
        raise FieldInvalid("version", "This model has an artifact of that version already.")
    checkpoint = aggregate.checkpoint
    kept, is_new = Artifact.objects.get_or_create(
        project=project, version=version, defaults={"checkpoint": checkpoint, "created_at": now}
    )
    if not is_new:
        raise FieldInvalid("version", "This model has an artifact of that version already.")
    artifact = ModelArtifact.objects.create(federated_model=model, artifact=kept, version=version, created_on=now)
    FederatedModel.objects.filter(pk=model.pk).update(current_artifact=artifact)
    emit(ports, project, "artifact.published", now, checkpoint=checkpoint.number, version=version)
    return artifact


def _parent(model: FederatedModel, pk: int | None) -> ModelAggregate | None:
    if pk is None:
        return None
    parent = ModelAggregate.objects.filter(pk=pk, federated_model=model).first()
    if parent is None:
        raise missing_reference("parent", pk)
    return parent


def _new_checkpoint(
    ports: Ports, model: FederatedModel, project: Project, weights: Weights, now: datetime
) -> Checkpoint:
    obstacle = layouts.mismatch(model, project, weights)
    if obstacle or weights.structure is None:
        raise FieldInvalid("result", f"These weights cannot be used: {obstacle}.")
    if project.layout is None:
        layouts.begin_from_nothing(ports, model, project, weights.structure.layout, weights.structure.form, now)
    try:
        with as_tensors(ports, weights, project.model_layout) as body:
            blob = store(ports, f"projects/{project.pk}/checkpoints", body)
    except TooLarge:
        raise
    except Invalid as exc:
        raise FieldInvalid("result", f"These weights cannot be used: {exc.message}.") from exc
    latest = find_latest_checkpoint(project)
    assert latest is not None, "there is a layout"  # noqa: S101
    return Checkpoint.objects.create(
        project=project, number=latest.number + 1, digest=body.digest, size_bytes=body.size_bytes, blob=blob,
        created_at=now,
    )  # fmt: skip


def _set_score(aggregate: ModelAggregate, score: float | None) -> None:
    aggregate.validation_score, aggregate.scored_by_hand = score, score is not None
    aggregate.save(update_fields=["validation_score", "scored_by_hand"])


def _check_unpublished(checkpoints: Iterable[Checkpoint]) -> None:
    published = Artifact.objects.filter(checkpoint__in=checkpoints).first()
    if published is not None:
        raise Conflict(f"This is published as artifact {published.version!r}, or has below it what is.")


def _forget_all(ports: Ports, checkpoints: Iterable[Checkpoint], used: Iterable[ModelUpdate]) -> None:
    blobs = [blob for row in checkpoints for blob in (row.blob, row.state_blob)]
    blobs += [blob for row in used for blob in (row.document, row.tensors)]
    forget_files(ports, blobs)


def _rebase(project: Project, gone: Iterable[Checkpoint]) -> None:
    """What began from a checkpoint that goes, and stays itself, begins from the latest one that stays."""
    left = Checkpoint.objects.filter(project=project).exclude(pk__in=[row.pk for row in gone])
    latest, first = left.latest("number"), left.earliest("number")
    Round.objects.filter(base__in=gone).exclude(checkpoint__in=gone).update(base=latest)
    Update.objects.filter(base__in=gone).exclude(round__checkpoint__in=gone).update(base=first)
