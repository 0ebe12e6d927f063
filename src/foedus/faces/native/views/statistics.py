"""Projects that keep statistics instead of rows."""

from typing import Annotated, Any

from django.utils import timezone
from ninja import Router, Status
from pydantic import Field

from foedus.faces.native.answers.base import Listed
from foedus.faces.native.answers.statistics import StatisticsProjectOut
from foedus.faces.native.auth import NativeRequest
from foedus.faces.native.schemas import In
from foedus.services.statistics import projects, reading
from foedus.services.statistics.contributing import customer_of
from foedus.services.statistics.projects import CreateProject

router = Router(tags=["statistics"])
_PROJECTS = "/statistics/{native_cid:customer}/projects"
_PROJECT = f"{_PROJECTS}/{{native_name:project}}"


class StatisticsProjectIn(In):
    name: str
    kind: str = "cpu"
    params: Annotated[dict[str, str], Field(default_factory=dict, max_length=projects.MAX_PARAMS)]
    sketches: bool = False


@router.post(_PROJECTS, response={201: StatisticsProjectOut})
def create_statistics_project(request: NativeRequest, customer: str, fields: StatisticsProjectIn) -> Any:
    """A new, empty project of a customer of your organisation."""
    owner = customer_of(request.auth, customer)
    command = CreateProject(
        name=fields.name, kind=fields.kind, params=fields.params, histogram=fields.sketches, persisted=True
    )
    row = projects.create_project(request.ports, request.auth, owner, command, now=timezone.now())
    return Status(201, StatisticsProjectOut.of(reading.describe(request.ports, row)))


@router.get(_PROJECTS, response=Listed[StatisticsProjectOut])
def list_statistics_projects(request: NativeRequest, customer: str) -> Any:
    """A customer's projects by name."""
    rows = projects.list_projects(customer_of(request.auth, customer)).select_related("customer")
    items = [StatisticsProjectOut.of(reading.describe(request.ports, row)) for row in rows]
    return Listed[StatisticsProjectOut](items=items, next=None)


@router.get(_PROJECT, response=StatisticsProjectOut)
def get_statistics_project(request: NativeRequest, customer: str, project: str) -> StatisticsProjectOut:
    """A project: what it keeps, of which attributes, and of how many rows."""
    row = projects.find_project(request.auth, customer_of(request.auth, customer), project)
    return StatisticsProjectOut.of(reading.describe(request.ports, row))


@router.delete(_PROJECT, response={204: None})
def delete_statistics_project(request: NativeRequest, customer: str, project: str) -> Any:
    """Remove a project with its statistics and models."""
    owner = customer_of(request.auth, customer)
    projects.delete_project(request.ports, request.auth, owner, project, now=timezone.now())
    return Status(204, None)
