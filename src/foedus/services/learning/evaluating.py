"""The server's own look at checkpoints: a job, which rounds do not wait for unless the project wants them to."""

import time
from datetime import datetime
from typing import Any

import structlog
from django.db import transaction

from foedus.core.course import EVALUATOR
from foedus.core.errors import Invalid, NotFound
from foedus.core.rounds import Reason
from foedus.ports import Ports
from foedus.records.learning.models import Checkpoint, Project
from foedus.records.learning.queries import lock_project
from foedus.records.shell.models import Job
from foedus.services.learning.evaluator_process import run_evaluator
from foedus.services.learning.measuring import DONE, FAILED, PENDING, evaluation_of, reason_to_stop
from foedus.services.learning.retaining import promise_retention
from foedus.services.learning.rounds import advance, stop_early
from foedus.services.learning.waiting import reason_json
from foedus.services.shell import jobs
from foedus.services.shell.events import emit

log = structlog.get_logger()


def evaluate_checkpoint(ports: Ports, job: Job, *, now: datetime) -> None:
    """Do an "evaluate-checkpoint" job. Doing it again after a crash is harmless: the first answer stays."""
    checkpoint = Checkpoint.objects.select_related("project").filter(pk=job.payload["checkpoint"]).first()
    if checkpoint is None or not _is_pending(checkpoint):
        jobs.complete(job)
        return
    began = time.monotonic()
    try:
        found = {"state": DONE, "metrics": _metrics(ports, checkpoint)}
    except (Invalid, NotFound) as exc:  # nothing that another try would change
        found = _failed(exc.message)
    _conclude(ports, job, checkpoint, found | {"seconds": round(time.monotonic() - began, 3)}, now)


def abandon_evaluation(ports: Ports, job: Job, *, now: datetime) -> None:
    """The job failed for good: say so, and let go who waits for it."""
    checkpoint = Checkpoint.objects.select_related("project").filter(pk=job.payload["checkpoint"]).first()
    if checkpoint is not None:
        job.refresh_from_db()
        why = f"{job.attempts} tries failed, the last with {job.latest_error}"
        _conclude(ports, None, checkpoint, _failed(why), now)


def _metrics(ports: Ports, checkpoint: Checkpoint) -> dict[str, float]:
    rule = evaluation_of(checkpoint.project)
    if rule is None:
        raise NotFound("the project has no evaluator any more")
    with ports.blobs.local(checkpoint.blob) as path:
        return run_evaluator(rule, path, ports.scratch)


def _failed(why: str) -> dict[str, Any]:
    reason = Reason("evaluation_failed", f"The checkpoint was not evaluated: {why}")
    return {"state": FAILED, "reason": reason_json(reason)}


def _conclude(ports: Ports, job: Job | None, checkpoint: Checkpoint, found: dict[str, Any], now: datetime) -> None:
    with transaction.atomic():
        project = lock_project(checkpoint.project_id)
        if job is not None:
            jobs.complete(job)
        checkpoint.refresh_from_db()
        if not _is_pending(checkpoint):
            return
        checkpoint.evaluation = {**(checkpoint.evaluation or {}), **found}
        checkpoint.save(update_fields=["evaluation"])
        if found["state"] == DONE:
            emit(
                ports, project, "checkpoint.evaluated", now,
                checkpoint=checkpoint.number, metrics=found["metrics"], digest=checkpoint.digest,
            )  # fmt: skip
        else:
            log.warning("checkpoint.not_evaluated", project=project.key, checkpoint=checkpoint.number)
            emit(ports, project, "checkpoint.not_evaluated", now, checkpoint=checkpoint.number, reason=found["reason"])
        promise_retention(ports, project, now)  # until now the checkpoint had to stay
        reason = reason_to_stop(project, EVALUATOR)
        if reason is not None and project.state == Project.State.RUNNING:
            stop_early(ports, project, reason, now)
        advance(ports, project, now)


def _is_pending(checkpoint: Checkpoint) -> bool:
    return (checkpoint.evaluation or {}).get("state") == PENDING
