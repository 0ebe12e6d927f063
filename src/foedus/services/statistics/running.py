"""What a worker does for each kind of a customer's jobs."""

from collections.abc import Mapping
from datetime import datetime

from django.db import transaction

from foedus.ports import Ports
from foedus.records.shell.models import Job
from foedus.services.statistics import jobs, learning
from foedus.services.statistics.jobs import Runner, Running


def _learn(job: Running) -> None:
    """The batch, the end of the job and its result are one transaction."""
    learning.learn(
        job.ports, job.actor, job.project, job.body(), client=job.row.payload.get("client", ""), now=job.now,
        also=job.done,
    )  # fmt: skip


def _forget(job: Running) -> None:
    learning.forget(
        job.ports, job.actor, job.project, job.body(), client=job.row.payload.get("client", ""), now=job.now,
        also=job.done,
    )  # fmt: skip


def _nothing(job: Running) -> None:
    """What the job is about is read when its result is."""
    with transaction.atomic():
        job.done()


RUNNERS: Mapping[str, Runner] = {"learn": _learn, "forget": _forget, "projects": _nothing}


def run_statistics_job(ports: Ports, job: Job, *, now: datetime) -> None:
    """The worker's way in."""
    jobs.run(ports, job, RUNNERS, now=now)
