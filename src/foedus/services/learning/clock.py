"""What time alone changes: deadlines, absences, expiries. Running it twice, or in two places, changes nothing more."""

from datetime import datetime

import structlog
from django.db import InterfaceError, OperationalError, transaction

from foedus.ports import Ports
from foedus.records.learning.models import Project
from foedus.records.learning.queries import lock_project
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
