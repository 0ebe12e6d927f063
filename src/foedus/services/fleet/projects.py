"""A fleet's projects: made, changed, started and stopped by staff."""

import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from copy import copy
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from foedus.core.errors import Conflict, NotFound
from foedus.core.rounds import Phase, Reason
from foedus.ports import Ports
from foedus.records.accounts.models import User
from foedus.records.fleet.models import FleetProject
from foedus.records.fleet.queries import FACE, READY_WINDOW
from foedus.records.learning.models import Checkpoint, Project, Round
from foedus.records.learning.queries import lock_project
from foedus.services.fleet import objects
from foedus.services.fleet.access import changeable_fleet, operator_of
from foedus.services.fleet.accounts import default_organisation
from foedus.services.fleet.fields import BadFields, fill
from foedus.services.fleet.models import as_safetensors, layout_of_model
from foedus.services.fleet.readiness import look_again
from foedus.services.fleet.status import Status, status_of
from foedus.services.learning import projects, rounds
from foedus.services.learning.models_in import store
from foedus.services.shell import audit
from foedus.services.shell.authorisation import organisation_of
from foedus.services.shell.events import emit

MODEL_IS_FIXED = "The model cannot be changed once there are rounds."


def create(ports: Ports, user: User, values: Mapping[str, Any], *, now: datetime) -> FleetProject:
    """A new project with its start model; round 0 is open at once if its status is "In Progress".

    Raises BadFields, also when the start model has not been put yet, and Forbidden. Nothing is left half-done.
    """
    actor = operator_of(user)
    fleet = FleetProject()
    status = fill(fleet, values, partial=False)
    _require_start_model(ports, fleet.model)
    with transaction.atomic():
        project = Project.objects.create(
            key=f"flaas-{_slug(fleet.title)}-{secrets.token_hex(3)}",
            title=fleet.title,
            organisation=organisation_of(actor) or default_organisation(now),
            state=Project.State.PAUSED,
            strategy=strategy_of(fleet),
            policy=policy_of(fleet),
            settings=settings_of(fleet),
            seed=secrets.randbelow(2**31),
            face=FACE,
            created_at=now,
        )
        fleet.project = project
        _save(fleet, force_insert=True)
        emit(ports, project, "project.created", now, key=project.key)
        audit.record(actor, "create", f"project:{project.key}", organisation_id=project.organisation_id, now=now)
        _put_start_model(ports, project, fleet.model, now)
        _set_status(ports, project, status, now)
    return fleet


def check(ports: Ports, fleet: FleetProject | None, values: Mapping[str, Any]) -> None:
    """Raise BadFields where ``change`` (``create``, for None) would raise it or Conflict: forms ask before they act."""
    row = copy(fleet) if fleet is not None else FleetProject()
    fill(row, values, partial=fleet is not None)
    if fleet is None or row.model != fleet.model:
        _require_start_model(ports, row.model)
    if fleet is not None and row.model != fleet.model and _has_rounds(fleet.project):
        raise BadFields({"model": [MODEL_IS_FIXED]})


def change(
    ports: Ports, user: User, pk: int, values: Mapping[str, Any], *, partial: bool = True, now: datetime
) -> FleetProject:
    """Change a project. Thresholds hold at once, also for the open round; samples, epochs and seed from the next on.

    Raises BadFields, Forbidden, NotFound; Conflict for another model once there are rounds.
    """
    fleet, actor = changeable_fleet(user, pk)
    model = fleet.model
    status = fill(fleet, values, partial=partial)
    if fleet.model != model:
        _require_start_model(ports, fleet.model)
    with transaction.atomic():
        project = lock_project(pk)
        fleet.project = project
        if fleet.model != model:
            _change_model(ports, project, fleet.model, now)
        _save(fleet)
        _apply(project, fleet)
        audit.record(
            actor, "change", f"project:{project.key}", organisation_id=project.organisation_id, now=now,
            fields=sorted(str(name)[:40] for name in values),
        )  # fmt: skip
        if not _set_status(ports, project, status, now):
            rounds.advance(ports, project, now)
    return fleet


def delete(ports: Ports, user: User, pk: int, *, now: datetime) -> None:
    """Remove a project with its rounds and models; its devices are free again. Raises Forbidden, NotFound."""
    fleet, actor = changeable_fleet(user, pk)
    projects.delete_project(ports, actor, fleet.project.key, now=now)


def policy_of(fleet: FleetProject) -> dict[str, Any]:
    """When rounds of this project start, end and count, in the engine's words."""
    return {
        "name": "thresholds",
        "options": {
            "rounds": fleet.number_of_rounds,
            "ready_ratio": float(fleet.responses_ratio_threshold),
            "valid_ratio": float(fleet.valid_round_training_threshold),
            "max_training_s": fleet.max_training_time * 60.0,
            "ready_window_s": READY_WINDOW.total_seconds(),
            "minimum": fleet.minimum_devices,
            "basis": "invited" if fleet.ratio_basis == FleetProject.Basis.INVITED else "registered",
            "max_invalid_streak": fleet.max_invalid_rounds,
        },
    }


def strategy_of(fleet: FleetProject) -> dict[str, Any]:
    """The rule that combines uploads, which all weigh the same."""
    return {"name": fleet.strategy, "options": {}}


def settings_of(fleet: FleetProject) -> dict[str, Any]:
    """What each round keeps from the moment of its opening."""
    return {"samples": fleet.number_of_samples, "epochs": fleet.number_of_epochs, "seed": fleet.seed}


def _apply(project: Project, fleet: FleetProject) -> None:
    project.title, project.policy, project.settings = fleet.title, policy_of(fleet), settings_of(fleet)
    project.strategy = strategy_of(fleet)
    project.save(update_fields=["title", "policy", "settings", "strategy"])
    Round.objects.filter(project=project, phase__in=(Phase.WAITING, Phase.COLLECTING)).update(policy=project.policy)
    look_again(fleet)


def _save(fleet: FleetProject, *, force_insert: bool = False) -> None:
    try:
        with transaction.atomic():
            fleet.save(force_insert=force_insert)
    except IntegrityError:  # somebody else took the title between the check and now
        raise BadFields({"title": ["project with this title already exists."]}) from None


def _set_status(ports: Ports, project: Project, status: Status | None, now: datetime) -> bool:
    """Whether the status is another one now."""
    if status is None or status is status_of(project):
        return False
    match status:
        case Status.IN_PROGRESS:
            rounds.run(ports, project, now)
        case Status.STOPPED:
            rounds.pause(ports, project, now)
        case Status.COMPLETED:
            rounds.finish(ports, project, Reason("completed", "An operator declared the project complete."), now)
    return True


def _require_start_model(ports: Ports, model: str) -> None:
    key = start_model_key(model)
    if not objects.exists(ports, key):
        raise BadFields({"model": [f"There is no start model: put one into the object store as {key}."]})


def start_model_key(model: str) -> str:
    return f"models/{model}.bin"


def _put_start_model(ports: Ports, project: Project, model: str, now: datetime) -> None:
    """Make the start model checkpoint 0. Raises Invalid when its length or its values are wrong."""
    layout = layout_of_model(model)
    with objects.local(ports, start_model_key(model)) as path, as_safetensors(ports.scratch, path, layout) as body:
        digest, size_bytes = body.digest, body.size_bytes
        blob = store(ports, f"projects/{project.pk}/checkpoints", body)
    try:
        Checkpoint.objects.create(
            project=project, number=0, digest=digest, size_bytes=size_bytes, blob=blob, created_at=now
        )
        project.layout = layout.to_json()
        project.save(update_fields=["layout"])
        emit(ports, project, "checkpoint.published", now, checkpoint=0, digest=digest)
    except BaseException:
        with suppress(NotFound):
            ports.blobs.delete(blob)
        raise


def _change_model(ports: Ports, project: Project, model: str, now: datetime) -> None:
    if _has_rounds(project):
        raise Conflict(MODEL_IS_FIXED, field="model")
    for old in Checkpoint.objects.filter(project=project):
        old.delete()
        transaction.on_commit(lambda blob=old.blob: ports.blobs.delete(blob))  # type: ignore[misc]
    _put_start_model(ports, project, model, now)


def _has_rounds(project: Project) -> bool:
    return Round.objects.filter(project=project).exists()


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "project"
