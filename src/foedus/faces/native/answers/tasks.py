"""What a participant is told to do, and what happened to a project."""

from typing import Any

from foedus.faces.native.answers.base import ReasonOut
from foedus.faces.native.answers.projects import CheckpointOut
from foedus.faces.native.rendering import iso
from foedus.records.learning.models import Checkpoint, Project
from foedus.services.learning.tasks import Answer, Evaluate, Finished, Idle, Train
from foedus.services.learning.watching import Happening


def event_out(event: Happening) -> dict[str, Any]:
    return {**event.data, "at": iso(event.at)}


def task_out(answer: Answer) -> dict[str, Any]:
    """One of the four shapes that ``next`` answers with; ``task`` says which."""
    match answer.task:
        case Train() as task:
            return _train_out(answer, task)
        case Evaluate(checkpoint=checkpoint):
            return {
                "task": "evaluate",
                "checkpoint": _checkpoint_out(checkpoint, answer.project),
                "settings": answer.project.settings,
                "heartbeat_s": answer.heartbeat_s,
            }
        case Idle(reasons=reasons):
            return {"task": "wait", "reasons": [_reason_out(r) for r in reasons], "heartbeat_s": answer.heartbeat_s}
        case Finished(checkpoint=latest, reasons=reasons):
            return {
                "task": "finished",
                "checkpoint": _checkpoint_out(latest, answer.project) if latest else None,
                "reasons": [_reason_out(r) for r in reasons],
            }


def _train_out(answer: Answer, task: Train) -> dict[str, Any]:
    return {
        "task": "train",
        "round": task.round.number,
        "checkpoint": _checkpoint_out(task.checkpoint, answer.project),
        "settings": task.round.settings,
        "update_kind": answer.project.update_kind,
        "deadline_at": iso(task.round.deadline_at) if task.round.deadline_at else None,
        "heartbeat_s": answer.heartbeat_s,
        "evaluate": task.evaluate,
    }


def _checkpoint_out(checkpoint: Checkpoint, project: Project) -> dict[str, Any]:
    return CheckpointOut.of_project(checkpoint, project.key).model_dump(mode="json")


def _reason_out(reason: object) -> dict[str, Any]:
    return ReasonOut.of(reason).model_dump()
