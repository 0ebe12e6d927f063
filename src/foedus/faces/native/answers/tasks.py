"""What a participant is told to do, and what happened to a project."""

from collections.abc import Callable
from typing import Any

from foedus.core.codecs.packed import ENCODINGS
from foedus.faces.native.answers.base import ReasonOut
from foedus.faces.native.answers.projects import CheckpointOut
from foedus.faces.native.rendering import iso
from foedus.records.learning.models import Checkpoint, Project
from foedus.services.learning.equipment import Equipment, KeptState
from foedus.services.learning.tasks import Answer, Evaluate, Finished, Idle, Train
from foedus.services.learning.watching import Happening

# What is handed out with a task: its bytes in base64, or None for what has to be fetched.
InlineOf = Callable[[Checkpoint | KeptState], str | None]


def event_out(event: Happening) -> dict[str, Any]:
    return {**event.data, "at": iso(event.at)}


def _nothing(_: Checkpoint | KeptState) -> None:
    return None


def task_out(answer: Answer, inline: InlineOf = _nothing) -> dict[str, Any]:
    """One of the four shapes that ``next`` answers with; ``task`` says which."""
    match answer.task:
        case Train() as task:
            return _train_out(answer, task, inline)
        case Evaluate(checkpoint=checkpoint):
            return {
                "task": "evaluate",
                "checkpoint": _needed_out(checkpoint, answer.project, inline),
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


def _train_out(answer: Answer, task: Train, inline: InlineOf) -> dict[str, Any]:
    return {
        "task": "train",
        "round": task.round.number,
        "checkpoint": _needed_out(task.checkpoint, answer.project, inline),
        "settings": task.round.settings if answer.equipment is None else dict(answer.equipment.settings),
        "update_kind": answer.project.update_kind,
        "encodings": list(ENCODINGS),
        "strategy": _strategy_out(answer.equipment, answer.project, inline) if answer.equipment else None,
        "deadline_at": iso(task.round.deadline_at) if task.round.deadline_at else None,
        "heartbeat_s": answer.heartbeat_s,
        "evaluate": task.evaluate,
    }


def _strategy_out(equipment: Equipment, project: Project, inline: InlineOf) -> dict[str, Any]:
    return {
        "name": equipment.strategy,
        "sends": list(equipment.needs.sent),
        "state": _state_out(equipment.state, project, inline) if equipment.state else None,
        "returns": list(equipment.needs.returned),
        "metrics": list(equipment.needs.metrics),
    }


def _state_out(state: KeptState, project: Project, inline: InlineOf) -> dict[str, Any]:
    href = f"/foedus/v1/projects/{project.key}/checkpoints/{state.checkpoint}/state"
    return {"digest": state.digest, "size_bytes": state.size_bytes, "href": href} | _data_out(state, inline)


def _needed_out(checkpoint: Checkpoint, project: Project, inline: InlineOf) -> dict[str, Any]:
    return _checkpoint_out(checkpoint, project) | _data_out(checkpoint, inline)


def _data_out(needed: Checkpoint | KeptState, inline: InlineOf) -> dict[str, str]:
    data = inline(needed)
    return {} if data is None else {"data": data}


def _checkpoint_out(checkpoint: Checkpoint, project: Project) -> dict[str, Any]:
    return CheckpointOut.of_project(checkpoint, project.key).model_dump(mode="json")


def _reason_out(reason: object) -> dict[str, Any]:
    return ReasonOut.of(reason).model_dump()
