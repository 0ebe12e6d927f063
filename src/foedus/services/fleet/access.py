"""Who may do what with a fleet: staff operate projects, devices take part in the one that they are assigned to."""

from django.db.models import QuerySet

from foedus.core.errors import Forbidden, NotFound
from foedus.records.accounts.models import User
from foedus.records.fleet.models import FleetProject
from foedus.records.fleet.queries import find_assignment, find_device, get_fleet
from foedus.services.accounts.credentials import actor_of_user
from foedus.services.shell.authorisation import Actor, Verb, require, visible_projects


def operator_of(user: User) -> Actor:
    """The operator that a member of staff is. Raises Forbidden for everybody else."""
    if not user.is_staff:
        raise Forbidden("You do not have permission to perform this action.")
    return actor_of_user(user)


def visible_fleets(user: User) -> QuerySet[FleetProject]:
    """For staff, their organisation's projects (superusers: all); for others, the one that they are assigned to."""
    rows = FleetProject.objects.select_related("project").order_by("pk")
    if user.is_staff:
        return rows.filter(project__in=visible_projects(actor_of_user(user)))
    device = find_device(user)
    assignment = find_assignment(device) if device is not None else None
    return rows.filter(pk=assignment.project_id) if assignment is not None else rows.none()


def readable_fleet(user: User, pk: int) -> FleetProject:
    """A project for one who may see it: staff, or an assigned device. Raises NotFound."""
    found = get_fleet(pk)
    device = find_device(user)
    assignment = find_assignment(device) if device is not None else None
    if assignment is not None and assignment.project_id == found.pk:
        return found
    if not user.is_staff:
        raise NotFound(f"there is no project {pk}", project=pk)
    require(actor_of_user(user), Verb.READ, found.project)
    return found


def changeable_fleet(user: User, pk: int) -> tuple[FleetProject, Actor]:
    """A project for staff that may change it. Raises Forbidden, NotFound."""
    actor = operator_of(user)
    found = get_fleet(pk)
    require(actor, Verb.CHANGE, found.project)
    return found, actor
