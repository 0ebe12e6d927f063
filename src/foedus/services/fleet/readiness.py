"""Whether a phone may be asked to train: plugged in or, where the project allows it, with enough in its battery."""

from decimal import Decimal

from foedus.records.fleet.models import Device, FleetProject
from foedus.records.fleet.queries import assigned_devices
from foedus.records.learning.models import Membership

NOT_PLUGGED = "not plugged in"
NOTHING_REPORTED = "it has not said whether it is plugged in"


def obstacle_of(fleet: FleetProject, device: Device) -> str:
    """Why the device cannot be invited, by what it reported last; empty when it can."""
    if device.power_plugged:
        return ""
    if fleet.power_plugged_only:
        return NOTHING_REPORTED if device.power_plugged is None else NOT_PLUGGED
    if device.battery_level is None:
        return "it has not said how full its battery is"
    if Decimal(str(device.battery_level)) >= fleet.battery_level_threshold:
        return ""
    return f"battery {device.battery_level:g} below {fleet.battery_level_threshold}"


def look_again(fleet: FleetProject) -> None:
    """Judge every assigned device by the project's present rules. The caller holds the project's lock."""
    devices = {device.participant_id: device for device in assigned_devices(fleet.project)}
    members = Membership.objects.filter(project=fleet.pk, participant__in=devices, state=Membership.State.ACTIVE)
    for membership in members:
        obstacle = obstacle_of(fleet, devices[membership.participant_id])
        if membership.obstacle != obstacle:
            Membership.objects.filter(pk=membership.pk).update(obstacle=obstacle)
