"""What a project leaves behind when it is deleted: blobs, removed by a job that the deletion itself promises."""

from datetime import datetime

from foedus.ports import Ports
from foedus.records.learning.models import Project, Upload
from foedus.records.shell.models import Job
from foedus.services.shell import jobs

DELETE_BLOBS_JOB = "delete-blobs"


def promise_removal(ports: Ports, project: Project, now: datetime) -> None:
    """Have the blobs removed once the caller's transaction has removed the rows that name them."""
    uploads = Upload.objects.filter(membership__project=project)
    prefixes = [f"projects/{project.pk}/", *(upload.prefix for upload in uploads)]
    jobs.enqueue(ports, DELETE_BLOBS_JOB, str(project.pk), now, prefixes=prefixes)


def delete_blobs(ports: Ports, job: Job, *, now: datetime) -> None:  # noqa: ARG001 - a handler's signature
    """Do a "delete-blobs" job. Who takes it over half-way finds less to do."""
    for prefix in job.payload["prefixes"]:
        ports.blobs.delete(*[blob.key for blob in ports.blobs.list(prefix)])
    jobs.complete(job)
