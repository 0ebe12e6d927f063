"""Checkpoints, and the versions made of them."""

from typing import Any

from django.utils import timezone
from ninja import Query, Router, Status

from foedus.faces.native.answers.base import Listed
from foedus.faces.native.answers.projects import ArtifactOut, CheckpointOut
from foedus.faces.native.auth import NativeRequest
from foedus.faces.native.schemas import ArtifactIn, WindowIn
from foedus.services.learning import checkpoints, reading

router = Router(tags=["checkpoints"])


@router.get("/projects/{native_key:project}/checkpoints", response=Listed[CheckpointOut])
def list_checkpoints(request: NativeRequest, project: str, window: Query[WindowIn]) -> Any:
    """The checkpoints of a project, newest first."""
    page = reading.list_checkpoints(request.auth, project, window.window())
    items = [CheckpointOut.of_project(item, project) for item in page.items]
    return Listed[CheckpointOut](items=items, next=page.next)


@router.get("/projects/{native_key:project}/checkpoints/{native_checkpoint:number}", response=CheckpointOut)
def get_checkpoint(request: NativeRequest, project: str, number: str) -> CheckpointOut:
    """A checkpoint by its number, the latest, or the best by the project's rule."""
    if number == "best":
        return CheckpointOut.of_project(checkpoints.read_best_checkpoint(request.auth, project), project)
    wanted = None if number == "latest" else int(number)
    return CheckpointOut.of_project(checkpoints.read_checkpoint(request.auth, project, wanted), project)


@router.post("/projects/{native_key:project}/artifacts", response={201: ArtifactOut, 200: ArtifactOut})
def publish_artifact(request: NativeRequest, project: str, fields: ArtifactIn) -> Any:
    """Give a checkpoint a version's name."""
    artifact, is_new = checkpoints.publish_artifact(
        request.ports, request.auth, project, fields.checkpoint, fields.version, now=timezone.now()
    )
    return Status(201 if is_new else 200, ArtifactOut.of(artifact))


@router.get("/projects/{native_key:project}/artifacts", response=Listed[ArtifactOut])
def list_artifacts(request: NativeRequest, project: str, window: Query[WindowIn]) -> Any:
    """The versions of a project, oldest first."""
    page = reading.list_artifacts(request.auth, project, window.window())
    return Listed[ArtifactOut](items=[ArtifactOut.of(item) for item in page.items], next=page.next)
