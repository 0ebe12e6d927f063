"""What time alone changes in fleets, and where each project stands. Ticking twice changes nothing more.

Reports and uploads move rounds by themselves the moment they arrive: a tick decides rounds whose time is over, looks
once more at those that wait, and says what they wait for.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from math import floor

import structlog
from django.db import DatabaseError, transaction

from foedus.core.errors import PlatformError
from foedus.core.rounds import Reason
from foedus.ports import Ports
from foedus.records.fleet.models import FleetProject
from foedus.records.fleet.queries import assigned_devices, ready_members, round_number
from foedus.records.learning.models import Invitation, Project, Update
from foedus.records.learning.queries import find_newest_round, lock_project
from foedus.records.shell.models import Event
from foedus.services.fleet import promises, questionnaires, retention
from foedus.services.fleet.options import FleetOptions
from foedus.services.fleet.status import RoundStatus, Status, round_status_of, status_of
from foedus.services.learning.rounds import advance
from foedus.services.learning.waiting import reasons_of

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectReport:
    """Where a project stands after the tick, and what happened to it in the course of it.

    ``round`` and ``round_status`` are those of the newest round; ``ready``, ``invited`` and ``reported`` count devices
    (``ready``: those without an obstacle that may be asked now); ``minutes_left`` is None unless a round is training.
    ``happened`` are events (kind, data) such as ("round.started", {"round": 1, "invited": 4}), by the engine's numbers.
    ``error`` says what went wrong with this project, which is then left for the next tick.
    """

    id: int
    title: str
    status: Status
    round: int | None = None
    round_status: RoundStatus | None = None
    assigned: int = 0
    ready: int = 0
    invited: int = 0
    reported: int = 0
    minutes_left: int | None = None
    reasons: tuple[Reason, ...] = ()
    happened: tuple[tuple[str, dict[str, object]], ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TickReport:
    projects: tuple[ProjectReport, ...]
    questionnaires: int
    evaluations: int
    forgotten: int


def tick(
    ports: Ports, options: FleetOptions, *, now: datetime, work: Callable[[], object] = lambda: None
) -> TickReport:
    """Advance every running project, then do the housekeeping. A project that fails does not hold up the others.

    ``work`` does the jobs that this brings about, such as averaging a round, where no worker is relied upon.
    """
    running = FleetProject.objects.select_related("project").filter(project__state=Project.State.RUNNING)
    reports = tuple(_advanced(ports, fleet, now, work) for fleet in running.order_by("pk"))
    return housekeeping(ports, options, now=now, projects=reports)


def housekeeping(
    ports: Ports, options: FleetOptions, *, now: datetime, projects: tuple[ProjectReport, ...] = ()
) -> TickReport:
    """What is not about rounds: questionnaires, evaluations that were missed, what is to be forgotten."""
    return TickReport(
        projects=projects,
        questionnaires=questionnaires.enqueue_due(ports, options, now),
        evaluations=promises.enqueue_missing(ports, now),
        forgotten=retention.forget(ports, options, now),
    )


def report_on(fleet: FleetProject, now: datetime, *, since: int | None = None) -> ProjectReport:
    """Where a project stands; with the events after ``since`` of its stream."""
    project = fleet.project
    newest = find_newest_round(project)
    training = newest is not None and round_status_of(newest) is RoundStatus.TRAINING
    deadline = newest.deadline_at if newest is not None and training else None
    return ProjectReport(
        id=fleet.pk,
        title=fleet.title,
        status=status_of(project),
        round=None if newest is None else round_number(newest),
        round_status=None if newest is None else round_status_of(newest),
        assigned=assigned_devices(project).count(),
        ready=ready_members(project, now).count(),
        invited=Invitation.objects.filter(round=newest).count() if newest is not None else 0,
        reported=Update.objects.filter(round=newest).count() if newest is not None else 0,
        minutes_left=None if deadline is None else max(0, floor((deadline - now).total_seconds() / 60)),
        reasons=reasons_of(project, now),
        happened=tuple(_events(project, since)) if since is not None else (),
    )


def _advanced(ports: Ports, fleet: FleetProject, now: datetime, work: Callable[[], object]) -> ProjectReport:
    try:
        with transaction.atomic():
            project = lock_project(fleet.pk)
            before = project.event_seq
            advance(ports, project, now)
        work()
        fleet.project.refresh_from_db()
        return report_on(fleet, now, since=before)
    except (PlatformError, DatabaseError, ArithmeticError, LookupError, TypeError, ValueError) as exc:
        log.exception("fleet.tick_failed", project=fleet.pk)
        return ProjectReport(id=fleet.pk, title=fleet.title, status=Status.IN_PROGRESS, error=str(exc) or repr(exc))


def _events(project: Project, since: int) -> Iterator[tuple[str, dict[str, object]]]:
    for event in Event.objects.filter(stream=project.stream, seq__gt=since).order_by("seq"):
        yield event.kind, event.data
