"""What time alone changes: deadlines, absences, expiries. Running it twice, or in two places, changes nothing more."""

from datetime import datetime, timedelta

import structlog
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Exists, OuterRef, Q

from foedus.ports import Ports
from foedus.records.learning.models import OPEN_PHASES, Membership, Project, Round
from foedus.records.learning.queries import active_memberships, find_open_round, lock_project
from foedus.services.learning.rounds import advance
from foedus.services.learning.uploads import discard_expired

log = structlog.get_logger()


def tick(ports: Ports, *, now: datetime) -> int:
    """Advance every project whose moment has come; how many there were. One that fails does not hold up the others."""
    due = Project.objects.filter(next_check_at__lte=now).order_by("next_check_at").values_list("pk", flat=True)
    count = 0
    for pk in due.iterator():
        count += 1
        try:
            with transaction.atomic():
                project = lock_project(pk)
                if project.next_check_at is not None and project.next_check_at <= now:
                    advance(ports, project, now)
        except (OperationalError, InterfaceError):  # of all projects, not of this one
            raise
        except Exception as exc:  # a mistake in the policy of one project must not stop those of others
            log.exception("tick.project_failed", project=pk, error=str(exc))
    discard_expired(ports, now)
    return count


def set_right(*, now: datetime) -> int:
    """The clock was set back: what happened in its future happened now, or it would be waited for until then.

    Rounds keep the time that they had; how many projects were concerned.
    """
    begun = Round.objects.filter(_after(now), project=OuterRef("pk"), phase__in=OPEN_PHASES)
    seen = Membership.objects.filter(project=OuterRef("pk"), state=Membership.State.ACTIVE, seen_at__gt=now)
    pks = list(Project.objects.filter(Exists(begun) | Exists(seen)).values_list("pk", flat=True))
    for pk in pks:
        with transaction.atomic():
            project = lock_project(pk)
            active_memberships(project).filter(seen_at__gt=now).update(seen_at=now)
            current = find_open_round(project)
            if current is not None:
                _begin_again(current, now)
            if project.state == Project.State.RUNNING:  # another one is looked at when it goes on
                project.next_check_at = now
                project.save(update_fields=["next_check_at"])
    if pks:
        log.warning("clock.set_back", projects=len(pks))
    return len(pks)


def _begin_again(current: Round, now: datetime) -> None:
    """Move the moments of an open round into the past, all by as much."""
    early = max(current.started_at or current.opened_at, current.opened_at) - now
    if early <= timedelta(0):
        return
    current.opened_at -= early
    current.started_at = current.started_at and current.started_at - early
    current.deadline_at = current.deadline_at and current.deadline_at - early
    current.save(update_fields=["opened_at", "started_at", "deadline_at"])


def _after(now: datetime) -> Q:
    return Q(opened_at__gt=now) | Q(started_at__gt=now)
