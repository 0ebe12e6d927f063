"""The server's own look at a model: how it does on images that no phone has."""

from datetime import datetime

import numpy as np
import structlog
from django.db import transaction

from foedus.core.codecs import cifar, safetensors
from foedus.core.errors import Invalid, NotFound
from foedus.core.fleet.head import evaluate_images
from foedus.core.fleet.keys import TEST_KEY
from foedus.core.fleet.layouts import fleet_model
from foedus.ports import Ports
from foedus.records.learning.models import Checkpoint
from foedus.records.learning.queries import lock_project
from foedus.records.shell.models import Job
from foedus.services.fleet import objects
from foedus.services.fleet.promises import ACCURACY, FAILED, LOSS
from foedus.services.shell import jobs
from foedus.services.shell.events import emit

MAX_IMAGES = 2000  # jobs wait for each other: what follows from a round comes first

log = structlog.get_logger()


def evaluate(ports: Ports, job: Job, *, now: datetime) -> None:
    """Do a "flaas.evaluate" job: loss and accuracy of a checkpoint, into its metrics. Doing it twice is harmless."""
    checkpoint = Checkpoint.objects.select_related("project__fleet").filter(pk=job.payload["checkpoint"]).first()
    try:
        figures = None if checkpoint is None else _figures(ports, checkpoint)
    except (Invalid, NotFound) as exc:  # nothing that another try would change
        log.warning("fleet.not_evaluated", checkpoint=job.payload["checkpoint"], error=str(exc))
        figures = {FAILED: 1.0}
    with transaction.atomic():
        jobs.complete(job)
        if checkpoint is None or figures is None:
            return
        project = lock_project(checkpoint.project_id)
        checkpoint.refresh_from_db()
        checkpoint.metrics = {**checkpoint.metrics, **figures}
        checkpoint.save(update_fields=["metrics"])
        emit(ports, project, "checkpoint.evaluated", now, checkpoint=checkpoint.number, metrics=figures)


def _figures(ports: Ports, checkpoint: Checkpoint) -> dict[str, float]:
    model = fleet_model(checkpoint.project.fleet.model)
    with (
        objects.local(ports, TEST_KEY) as samples,
        ports.blobs.local(checkpoint.blob) as path,
        safetensors.open_source(path, layout=model.layout) as source,
    ):
        loss, accuracy = evaluate_images(model, source.arrays(), _some(cifar.decode(samples.read_bytes())))
    return {LOSS: loss, ACCURACY: accuracy}


def _some(samples: cifar.Samples) -> cifar.Samples:
    """At most MAX_IMAGES, spread over the whole file, always the same ones."""
    n = len(samples.labels)
    if n <= MAX_IMAGES:
        return samples
    rows = np.arange(MAX_IMAGES) * n // MAX_IMAGES
    return cifar.Samples(samples.images[rows], samples.labels[rows])
