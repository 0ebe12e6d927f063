"""What is forgotten after a while: what phones said of themselves, and the models that they uploaded."""

from contextlib import suppress
from datetime import datetime, timedelta

from foedus.core.errors import NotFound
from foedus.core.rounds import Phase
from foedus.ports import Ports
from foedus.records.fleet.models import StatusReport, Submission
from foedus.services.fleet.options import FleetOptions
from foedus.services.fleet.tokens import forget_expired

_AT_ONCE = 1000  # rows: a tick is to be short, and the next one goes on


def forget(ports: Ports, options: FleetOptions, now: datetime) -> int:
    """Remove what is older than it may be; how many reports and models that were."""
    forget_expired(now)
    return _reports(options, now) + _models(ports, options, now)


def _reports(options: FleetOptions, now: datetime) -> int:
    old = StatusReport.objects.filter(created_at__lt=now - timedelta(days=options.report_days))
    pks = list(old.order_by("created_at").values_list("pk", flat=True)[:_AT_ONCE])
    return StatusReport.objects.filter(pk__in=pks).delete()[0]


def _models(ports: Ports, options: FleetOptions, now: datetime) -> int:
    """The row stays, so that the same model handed in again is still known; its bytes, which the update shares, go."""
    old = Submission.objects.filter(
        round__phase__in=(Phase.COMPLETE, Phase.INVALID), round__closed_at__lt=now - timedelta(days=options.model_days)
    ).exclude(blob="")[:_AT_ONCE]
    count = 0
    for submission in old:
        with suppress(NotFound):
            ports.blobs.delete(submission.blob)
        Submission.objects.filter(pk=submission.pk, blob=submission.blob).update(blob="")
        count += 1
    return count
