"""Which devices take part in which project: a device in one at most."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from foedus.core.errors import NotFound
from foedus.ports import Ports
from foedus.records.fleet.models import Device, FleetProject
from foedus.records.fleet.queries import FACE, get_fleet
from foedus.records.learning.models import Invitation, Membership, Project
from foedus.records.learning.queries import lock_project
from foedus.services.fleet.readiness import obstacle_of
from foedus.services.learning import rounds
from foedus.services.learning.invitations import give_up_invitation
from foedus.services.shell import audit
from foedus.services.shell.authorisation import Actor
from foedus.services.shell.events import emit


def assign_by_prefix(ports: Ports, actor: Actor, pk: int, prefix: str, *, now: datetime) -> list[Device]:
    """Make the devices of users whose names begin with ``prefix`` the project's only ones; in the order of names.

    Raises NotFound when there are none: an empty set is more likely a slip than a wish.
    """
    fleet = get_fleet(pk)
    devices = [
        device
        for device in Device.objects.filter(
            user__username__startswith=prefix, participant__organisation=fleet.project.organisation_id
        )
        .select_related("user", "participant")
        .order_by("user__username")
        if device.user.username.startswith(prefix)  # SQLite does not tell upper from lower case
    ]
    if not devices:
        raise NotFound(f"Could not find any usernames starting with '{prefix}'.", prefix=prefix[:80])
    assign(ports, actor, pk, devices, now=now)
    return devices


def assign(ports: Ports, actor: Actor, pk: int, devices: Sequence[Device], *, now: datetime) -> None:
    """Make these devices the project's only ones; they leave the projects where they were. Raises NotFound."""
    with transaction.atomic():
        wanted = {device.participant_id: device for device in devices}
        locked = _lock(pk, wanted)
        target = locked[pk]
        gone = Membership.objects.filter(project=pk, state=Membership.State.ACTIVE).exclude(participant__in=wanted)
        moved = _elsewhere(wanted).exclude(project=pk)
        for membership in [*gone.select_related("participant"), *moved.select_related("participant")]:
            _remove(ports, locked[membership.project_id], membership, now)
        fleet = FleetProject.objects.get(pk=pk)
        for device in _fresh(devices):
            _add(ports, target, fleet, device, now)
        audit.record(
            actor, "assign", f"project:{target.key}",
            organisation_id=target.organisation_id, now=now, devices=len(devices),
        )  # fmt: skip
        for project in locked.values():
            rounds.advance(ports, project, now)


def move(ports: Ports, actor: Actor, device: Device, pk: int | None, *, now: datetime) -> None:
    """Assign one device to a project, or to none. Raises NotFound."""
    with transaction.atomic():
        mine = {device.participant_id: device}
        locked = _lock(pk, mine)
        elsewhere = _elsewhere(mine).exclude(project=pk) if pk is not None else _elsewhere(mine)
        for membership in elsewhere.select_related("participant"):
            _remove(ports, locked[membership.project_id], membership, now)
        if pk is not None:
            fleet = FleetProject.objects.get(pk=pk)
            for fresh in _fresh([device]):
                _add(ports, locked[pk], fleet, fresh, now)
        audit.record(
            actor, "assign", f"device:{device.pk}",
            organisation_id=device.participant.organisation_id, now=now, project=pk,
        )  # fmt: skip
        for project in locked.values():
            rounds.advance(ports, project, now)


def _fresh(devices: Sequence[Device]) -> QuerySet[Device]:
    """What the devices said last, whatever the caller knew of them."""
    return Device.objects.filter(pk__in=[device.pk for device in devices]).select_related("participant").order_by("pk")


def _lock(pk: int | None, devices: Iterable[int]) -> dict[int, Project]:
    """The project and all those that devices leave, locked in the order in which everybody locks them."""
    wanted = set(devices)
    locked: dict[int, Project] = {}
    involved = _involved(pk, wanted)
    for number in sorted(involved):
        locked[number] = lock_project(number)
    for number in sorted(_involved(pk, wanted) - involved):  # a device moved while we waited: rare, and only a wait
        locked[number] = lock_project(number)
    if pk is not None and locked[pk].face != FACE:
        raise NotFound(f"there is no project {pk}", project=pk)
    return locked


def _involved(pk: int | None, devices: set[int]) -> set[int]:
    return {*_elsewhere(devices).values_list("project_id", flat=True), *([] if pk is None else [pk])}


def _elsewhere(devices: Iterable[int]) -> QuerySet[Membership]:
    return Membership.objects.filter(
        participant__in=list(devices), state=Membership.State.ACTIVE, project__face=FACE
    ).order_by("pk")


def _remove(ports: Ports, project: Project, membership: Membership, now: datetime) -> None:
    Membership.objects.filter(pk=membership.pk).update(state=Membership.State.REMOVED)
    for invitation in membership.invitations.filter(state=Invitation.State.OPEN).select_related(
        "round", "membership__participant"
    ):
        give_up_invitation(ports, project, invitation, "no longer assigned", now)
    emit(ports, project, "participant.left", now, participant=membership.participant.name)


def _add(ports: Ports, project: Project, fleet: FleetProject, device: Device, now: datetime) -> None:
    """What the device said before it came here makes it ready, or not, right away."""
    membership, made = Membership.objects.get_or_create(
        project=project, participant=device.participant, defaults={"joined_at": now}
    )
    if not made and membership.state == Membership.State.ACTIVE:
        return
    membership.state = Membership.State.ACTIVE
    membership.seen_at = device.reported_at
    membership.obstacle = obstacle_of(fleet, device)
    membership.save(update_fields=["state", "seen_at", "obstacle"])
    emit(ports, project, "participant.joined", now, participant=device.participant.name)
