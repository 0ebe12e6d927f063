"""Projects and their rounds."""

from typing import Any

from django.utils import timezone
from ninja import Query, Router, Status

from foedus.faces.native.answers.base import Listed
from foedus.faces.native.answers.contributions import UpdateOut
from foedus.faces.native.answers.projects import ListedProjectOut, ProjectOut, RoundOut
from foedus.faces.native.auth import NativeRequest
from foedus.faces.native.schemas import ProjectChangeIn, ProjectIn, WindowIn
from foedus.services.learning import projects, reading

router = Router(tags=["projects"])


@router.post("/projects", response={201: ProjectOut, 200: ProjectOut})
def create_project(request: NativeRequest, fields: ProjectIn) -> Any:
    """A new project, waiting for its initial model."""
    now = timezone.now()
    project, is_new = projects.create_project(request.ports, request.auth, fields.command(), now=now)
    return Status(201 if is_new else 200, ProjectOut.of(reading.read_project(request.auth, project.key, now=now)))


@router.get("/projects", response=Listed[ListedProjectOut])
def list_projects(request: NativeRequest, window: Query[WindowIn]) -> Any:
    """The projects that you may see, oldest first, without their layouts."""
    page = reading.list_projects(request.auth, window.window(), now=timezone.now())
    return Listed[ListedProjectOut](items=[ListedProjectOut.of(item) for item in page.items], next=page.next)


@router.get("/projects/{native_key:project}", response=ProjectOut)
def get_project(request: NativeRequest, project: str) -> ProjectOut:
    """A project, and what it waits for."""
    return ProjectOut.of(reading.read_project(request.auth, project, now=timezone.now()))


@router.patch("/projects/{native_key:project}", response=ProjectOut)
def change_project(request: NativeRequest, project: str, fields: ProjectChangeIn) -> ProjectOut:
    """Change a project; strategy and policy hold from the next round on."""
    now = timezone.now()
    projects.change_project(request.ports, request.auth, project, fields.command(), now=now)
    return ProjectOut.of(reading.read_project(request.auth, project, now=now))


@router.delete("/projects/{native_key:project}", response={204: None})
def delete_project(request: NativeRequest, project: str) -> Any:
    """Remove a project with its rounds, updates, checkpoints and memberships."""
    projects.delete_project(request.ports, request.auth, project, now=timezone.now())
    return Status(204, None)


@router.get("/projects/{native_key:project}/rounds", response=Listed[RoundOut])
def list_rounds(request: NativeRequest, project: str, window: Query[WindowIn]) -> Any:
    """The rounds of a project, newest first."""
    page = reading.list_rounds(request.auth, project, window.window(), now=timezone.now())
    return Listed[RoundOut](items=[RoundOut.of(item) for item in page.items], next=page.next)


@router.get("/projects/{native_key:project}/rounds/{native_number:number}", response=RoundOut)
def get_round(request: NativeRequest, project: str, number: int) -> RoundOut:
    """A round, and what it waits for or how it ended."""
    return RoundOut.of(reading.read_round(request.auth, project, number, now=timezone.now()))


@router.get("/projects/{native_key:project}/rounds/{native_number:number}/updates", response=Listed[UpdateOut])
def list_updates(request: NativeRequest, project: str, number: int, window: Query[WindowIn]) -> Any:
    """The updates that a round counts, in the order of their arrival (operators)."""
    page = reading.list_updates(request.auth, project, number, window.window())
    return Listed[UpdateOut](items=[UpdateOut.of(item) for item in page.items], next=page.next)
