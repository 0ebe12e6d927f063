"""What the data plane answers, in the words of the wire."""

from typing import Any

from foedus.records.learning.models import Checkpoint, Update, Upload
from foedus.records.shell.models import Event
from foedus.services.learning.rounds import reason_json
from foedus.services.learning.tasks import Answer, Evaluate, Finished, Idle, Train


def checkpoint_out(checkpoint: Checkpoint, key: str) -> dict[str, Any]:
    return {
        "number": checkpoint.number,
        "round": checkpoint.round_number,
        "digest": checkpoint.digest,
        "size_bytes": checkpoint.size_bytes,
        "created_at": checkpoint.created_at.isoformat(),
        "metrics": checkpoint.metrics,
        "href": f"/foedus/v1/projects/{key}/checkpoints/{checkpoint.number}/model",
    }


def receipt_out(update: Update) -> dict[str, Any]:
    return {
        "id": update.pk,
        "round": update.task_round,
        "participant": update.membership.participant.name,
        "digest": update.digest,
        "size_bytes": update.size_bytes,
        "examples": update.examples,
        "staleness": update.staleness,
        "accepted_at": update.accepted_at.isoformat(),
    }


def upload_out(upload: Upload) -> dict[str, Any]:
    return {
        "id": upload.pk,
        "offset": upload.offset,
        "size_bytes": upload.size_bytes,
        "expires_at": upload.expires_at.isoformat(),
    }


def event_out(event: Event) -> dict[str, Any]:
    return {**event.data, "at": event.at.isoformat()}


def task_out(answer: Answer) -> dict[str, Any]:
    project = answer.project
    common = {"settings": project.settings, "heartbeat_s": answer.heartbeat_s}
    match answer.task:
        case Train(round=current, checkpoint=checkpoint, evaluate=evaluate):
            return {
                "task": "train",
                "round": current.number,
                "checkpoint": checkpoint_out(checkpoint, project.key),
                "update_kind": project.update_kind,
                "deadline_at": current.deadline_at.isoformat() if current.deadline_at else None,
                "evaluate": evaluate,
                **common,
            }
        case Evaluate(checkpoint=checkpoint):
            return {"task": "evaluate", "checkpoint": checkpoint_out(checkpoint, project.key), **common}
        case Idle(reasons=reasons):
            return {"task": "wait", "reasons": [reason_json(r) for r in reasons], "heartbeat_s": answer.heartbeat_s}
        case Finished(checkpoint=latest, reasons=reasons):
            return {
                "task": "finished",
                "checkpoint": checkpoint_out(latest, project.key) if latest else None,
                "reasons": [reason_json(r) for r in reasons],
            }
