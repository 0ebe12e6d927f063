"""Every question that services and commands ask of a fleet's tables, by name.

Rounds are numbered from 0 in the fleet's words and from 1 in the engine's: ``round_number`` and ``get_fleet_round``
translate, nobody else does.
"""

from datetime import datetime, timedelta

from django.db.models import QuerySet

from foedus.core.errors import NotFound
from foedus.core.rounds import Phase
from foedus.records.accounts.models import User
from foedus.records.fleet.models import Device, FleetProject, StatusReport
from foedus.records.learning.models import Checkpoint, Invitation, Membership, Project, Round, Update
from foedus.records.learning.queries import find_newest_round

FACE = "flaas"
READY_WINDOW = timedelta(hours=1)  # how long one report makes a device count as there
_LARGEST = 2**31 - 2


def get_fleet(pk: int) -> FleetProject:
    """The project with its engine's row, unlocked. Raises NotFound."""
    found = FleetProject.objects.select_related("project").filter(pk=pk).first() if 0 < pk < 2**63 else None
    if found is None:
        raise NotFound(f"there is no project {pk}", project=pk)
    return found


def find_device(user: User) -> Device | None:
    return Device.objects.select_related("user", "participant").filter(user=user).first()


def find_assignment(device: Device) -> Membership | None:
    """The membership of the one project that the device is assigned to, if any."""
    return (
        Membership.objects.filter(participant=device.participant_id, state=Membership.State.ACTIVE, project__face=FACE)
        .select_related("project__fleet")
        .first()
    )


def get_assignment(device: Device, project_pk: int) -> Membership:
    """The device's membership of that very project. Raises NotFound: others' projects are nobody's business."""
    found = find_assignment(device)
    if found is None or found.project_id != project_pk:
        raise NotFound(f"you are not assigned to a project {project_pk}", project=project_pk)
    return found


def round_number(current: Round) -> int:
    """What the fleet calls a round of the engine."""
    return current.number - 1


def get_fleet_round(project: Project, number: int) -> Round:
    """The round that the fleet calls ``number``. Raises NotFound."""
    found = (
        Round.objects.select_related("base", "checkpoint").filter(project=project, number=number + 1).first()
        if 0 <= number <= _LARGEST
        else None
    )
    if found is None:
        raise NotFound(f"project {project.pk} has no round {number}", round=number)
    return found


def get_start_model(project: Project, number: int) -> Checkpoint:
    """The checkpoint that round ``number`` starts from, also of the round to be opened next. Raises NotFound."""
    newest = find_newest_round(project)
    if newest is not None and 0 <= number < newest.number:
        return get_fleet_round(project, number).base
    if number == current_number(newest):
        if newest is None:
            first = Checkpoint.objects.filter(project=project, number=0).first()
            if first is not None:
                return first
        elif not newest.state.is_open:
            return newest.checkpoint or newest.base
    raise NotFound(f"project {project.pk} has no model for round {number}", round=number)


def current_number(newest: Round | None) -> int:
    """The number of the newest round, counting the one that follows a round that is over."""
    if newest is None:
        return 0
    return round_number(newest) if newest.state.is_open else newest.number


def complete_rounds(project: Project) -> int:
    return Round.objects.filter(project=project, phase=Phase.COMPLETE).count()


def invalid_rounds(project: Project) -> int:
    return Round.objects.filter(project=project, phase=Phase.INVALID).count()


def assigned_devices(project: Project) -> QuerySet[Device]:
    return Device.objects.filter(
        participant__memberships__project=project, participant__memberships__state=Membership.State.ACTIVE
    ).select_related("user")


def invited_devices(current: Round) -> QuerySet[Device]:
    """Everybody that was offered the round's work, whatever became of it."""
    return Device.objects.filter(participant__memberships__invitations__round=current).select_related("user")


def joined_devices(current: Round) -> QuerySet[Device]:
    return Device.objects.filter(joined__round=current).select_related("user")


def reported_devices(current: Round) -> QuerySet[Device]:
    """The devices whose models the round counts."""
    counted = Update.objects.filter(round=current).values("membership__participant")
    return Device.objects.filter(participant__in=counted).select_related("user")


def ready_members(project: Project, now: datetime) -> QuerySet[Membership]:
    """The members that may be asked to train: there, and without an obstacle."""
    return Membership.objects.filter(
        project=project, state=Membership.State.ACTIVE, obstacle="", seen_at__gt=now - READY_WINDOW
    )


def find_invitation(membership: Membership, current: Round) -> Invitation | None:
    return Invitation.objects.filter(membership=membership, round=current).first()


def reports_since(moment: datetime) -> QuerySet[StatusReport]:
    """What devices reported after ``moment``, newest first."""
    return StatusReport.objects.filter(created_at__gt=moment).select_related("device__user").order_by("-created_at")
