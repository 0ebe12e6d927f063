"""What phones say of themselves: that they are there, that they could train, and that they have trained."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction

from foedus.core.errors import Forbidden, Late, NotFound
from foedus.ports import Ports
from foedus.records.fleet.models import Device, StatusReport, Submission
from foedus.records.fleet.queries import FACE, READY_WINDOW, find_assignment, find_invitation, round_number
from foedus.records.learning.models import Membership, Project, Round
from foedus.records.learning.queries import lock_project
from foedus.services.fleet.readiness import obstacle_of
from foedus.services.learning.rounds import advance
from foedus.services.learning.updates import Stored, SubmitUpdate, record_update

log = structlog.get_logger()

DETAILS = ("os", "model", "manufacturer", "brand", "build_type", "incremental", "os_version", "security_patch")
# A device that is about to drop out of the window counts as gone here: whoever counts the ready ones at this very
# moment may have left it out already.
_NEARLY_ABSENT = READY_WINDOW - timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One report. ``details`` are columns of the device; ``kept`` is what is remembered of the rest.

    ``request`` names the round that the device finished training for; None: it is only there.
    """

    details: Mapping[str, str]
    power_plugged: bool | None = None
    battery_level: float | None = None
    kept: Mapping[str, Any] = field(default_factory=dict)
    request: int | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a report: ``note`` says why a finished training was not counted."""

    counted: bool = False
    note: str = ""


def report(ports: Ports, device: Device, said: Said, *, now: datetime) -> Taken:
    """Take a report. Raises NotFound, Forbidden and Late for trainings that nobody waits for."""
    if said.request is not None:
        return _trained(ports, device, said, said.request, now)
    with transaction.atomic():
        _lock(device)
        membership = find_assignment(device)
        if membership is None or not _becomes_ready(membership, said, now):
            _note(device, said, membership, now)
            return Taken()
    with transaction.atomic():  # the same again under the project's lock: its round may start now
        project = lock_project(membership.project_id)
        _note(device, said, find_assignment(device), now)
        advance(ports, project, now)
    return Taken()


def _trained(ports: Ports, device: Device, said: Said, request: int, now: datetime) -> Taken:
    """The report that makes an uploaded model an update of its round: all in one transaction, any number of times."""
    current = Round.objects.filter(pk=request, project__face=FACE).first() if 0 < request < 2**63 else None
    assignment = find_assignment(device)
    if current is None or assignment is None or assignment.project_id != current.project_id:
        raise NotFound(f"there is no training request {request}", request=request)
    with transaction.atomic():
        project = lock_project(current.project_id)
        membership = find_assignment(device)
        if membership is None or find_invitation(membership, current) is None:
            raise Forbidden("you were not invited to this round", request=request)
        _note(device, said, membership, now, current)
        taken = _count(ports, project, membership, device, current, now)
        if isinstance(taken, Late) or not taken.counted:
            advance(ports, project, now)  # the report says, too, that the device is there
    if isinstance(taken, Late):
        raise taken
    if taken.note:
        log.warning("fleet.report_not_counted", project=project.pk, round=round_number(current), device=device.pk,
                    reason=taken.note)  # fmt: skip
    return taken


def _count(
    ports: Ports, project: Project, membership: Membership, device: Device, current: Round, now: datetime
) -> Taken | Late:
    submission = Submission.objects.filter(device=device, round=current).first()
    if submission is None:
        return Taken(note="no valid model was uploaded before this report")
    stored = Stored(submission.blob, submission.digest, submission.size_bytes)
    command = SubmitUpdate(project=project.key, round=current.number, examples=1)
    try:
        record_update(ports, project, membership, command, stored, now=now)
    except Late as exc:  # raised before anything was written; what the device said of itself is kept
        return exc
    return Taken(counted=True)


def _becomes_ready(membership: Membership, said: Said, now: datetime) -> bool:
    """Whether the device could not be invited before this report, but can be after it."""
    if obstacle_of(membership.project.fleet, _as_said(said)):
        return False
    was_there = membership.seen_at is not None and now - membership.seen_at < _NEARLY_ABSENT
    return bool(membership.obstacle) or not was_there


def _note(
    device: Device, said: Said, membership: Membership | None, now: datetime, current: Round | None = None
) -> None:
    """Keep a report. The newest one decides whether the device is ready."""
    row = _lock(device)
    for name in DETAILS:
        setattr(row, name, said.details.get(name, getattr(row, name)))
    row.power_plugged, row.battery_level, row.reported_at = said.power_plugged, said.battery_level, now
    row.save(update_fields=[*DETAILS, "power_plugged", "battery_level", "reported_at"])
    if current is None:
        StatusReport.objects.create(device=row, created_at=now, data=dict(said.kept))
    else:  # one for each round, however often the phone repeats itself
        StatusReport.objects.update_or_create(
            device=row, round=current, defaults={"created_at": now, "data": dict(said.kept)}
        )
    if membership is not None:
        obstacle = obstacle_of(membership.project.fleet, row)
        Membership.objects.filter(pk=membership.pk).update(seen_at=now, obstacle=obstacle)


def _lock(device: Device) -> Device:
    """Reports of one device take turns."""
    return Device.objects.select_for_update().get(pk=device.pk)


def _as_said(said: Said) -> Device:
    return Device(power_plugged=said.power_plugged, battery_level=said.battery_level)
