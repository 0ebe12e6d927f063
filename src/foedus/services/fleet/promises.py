"""Looks at models that are promised: who promises one need not know how it is done, nor import what does it."""

from datetime import datetime

from django.db import transaction

from foedus.core.fleet.keys import TEST_KEY
from foedus.ports import Ports
from foedus.records.fleet.queries import FACE
from foedus.records.learning.models import Checkpoint, Project
from foedus.records.learning.queries import newest_checkpoints
from foedus.services.fleet import objects
from foedus.services.shell import jobs

EVALUATE_JOB = "flaas.evaluate"
LOSS, ACCURACY = "test_loss", "test_accuracy"  # among a checkpoint's metrics
FAILED = "test_failed"  # instead of them, so that it is not tried for ever


def enqueue_missing(ports: Ports, now: datetime) -> int:
    """Promise to evaluate the newest checkpoint of each project that has none of the two figures; how many.

    Nothing is promised while there are no held-out samples. Older checkpoints, which passed unseen, stay as they are.
    """
    wanted = _unseen()
    if not wanted or not objects.exists(ports, TEST_KEY):
        return 0
    for checkpoint in wanted:
        with transaction.atomic():
            jobs.enqueue(ports, EVALUATE_JOB, str(checkpoint.pk), now, checkpoint=checkpoint.pk)
    return len(wanted)


def _unseen() -> list[Checkpoint]:
    projects = list(Project.objects.filter(face=FACE, fleet__isnull=False))
    return [
        checkpoint
        for checkpoint in newest_checkpoints(projects).values()
        if checkpoint.number and not {ACCURACY, FAILED} & set(checkpoint.metrics)
    ]
