"""What workers are promised by the market; known also where its extra is not installed."""

from datetime import datetime

from foedus.ports import Ports
from foedus.records.market.models import Purchase
from foedus.services.shell import jobs

RUN_JOB = "market.run"
LEAD_JOB = "market.lead"
SETTLE_JOB = "market.settle"
FOLDER, UPLOADS = "market/", "market-uploads/"  # of blobs: what executions keep, and files that are to be sold


def promise_settlement(ports: Ports, *, now: datetime) -> None:
    """Have a worker settle what is due: a ledger may take its time, and the clock has other things to do."""
    if Purchase.objects.filter(next_check_at__lte=now).exists():
        jobs.enqueue(ports, SETTLE_JOB, "due", now)
