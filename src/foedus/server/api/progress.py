"""What a tick says of each project: what happened in the course of it, and what the project waits for."""

from collections.abc import Iterator, Mapping
from typing import Any

from foedus.core.rounds import Reason
from foedus.server.api.wording import INDENT, names, ratio, written
from foedus.services.fleet import reporting
from foedus.services.fleet.status import RoundStatus, Status
from foedus.services.fleet.tick import ProjectReport, TickReport

_BEGAN_AS = {
    "round.opened": RoundStatus.WAIT,
    "round.started": RoundStatus.WAIT,
    "round.combining": RoundStatus.TRAINING,
    "round.invalid": RoundStatus.TRAINING,
}
_CHECKS = {
    RoundStatus.WAIT: "Trying to start the round.",
    RoundStatus.TRAINING: "Checking for round completion.",
}
_ABOUT_ROUNDS = ("due", "round_over", "combining", "deadline")  # said in this dialect's words and numbers


def lines(report: TickReport) -> Iterator[str]:
    yield f"Found {len(report.projects)} available projects."
    for project in report.projects:
        yield f"Project '{project.id}. {project.title}':"
        yield from _of_project(project)
    if report.questionnaires:
        yield f"Queued {report.questionnaires} questionnaire notifications."
    if report.evaluations:
        yield f"Queued {report.evaluations} evaluations."
    if report.forgotten:
        yield f"Removed {report.forgotten} old reports and models."


def as_json(report: TickReport) -> dict[str, Any]:
    return {
        "projects": [_project_json(project) for project in report.projects],
        "questionnaires": report.questionnaires,
        "evaluations": report.evaluations,
        "forgotten": report.forgotten,
    }


def _of_project(project: ProjectReport) -> Iterator[str]:
    if project.error:
        yield f"Failed: {project.error}"
        return
    began_as = next((_BEGAN_AS[kind] for kind, _ in project.happened if kind in _BEGAN_AS), project.round_status)
    if began_as in _CHECKS:
        yield f"Round status '{began_as.label.title()}': {_CHECKS[began_as]}"
    for kind, data in project.happened:
        yield from _of_event(project, kind, data)
    if project.status is Status.IN_PROGRESS:
        yield from _of_wait(project)


def _of_event(project: ProjectReport, kind: str, data: Mapping[str, Any]) -> Iterator[str]:
    number = data["round"] - 1 if "round" in data else None
    match kind:
        case "round.opened":
            yield f"Next round is {number}."
        case "round.started":
            yield f"Train request sent to {data['invited']} devices."
            yield from _of_request(project, int(data["round"]))
        case "round.combining":
            yield f"Round {number} is complete. {_share({'facts': {'reported': data['updates']}}, project)}".rstrip()
        case "round.invalid":
            yield f"Round {number} is invalid. {_share(data['reason'], project)}{data['reason']['text']}"
        case "participant.lost":
            yield f"{INDENT}{data['participant']} has not been seen for too long: not waiting for it."
        case "project.paused":
            yield f"Project is stopped. {_text(data)}".rstrip()
        case "project.finished":
            yield f"Project is complete. {_text(data)}".rstrip()


def _of_request(project: ProjectReport, engine_number: int) -> Iterator[str]:
    request = reporting.train_request(project.id, engine_number - 1)
    yield f"{INDENT}Users: {names(request.people)}"
    ends_at = "never" if request.ends_at is None else written(request.ends_at)
    yield f"{INDENT}Data: request: {request.id} - round: {engine_number - 1} - valid until: {ends_at}"


def _of_wait(project: ProjectReport) -> Iterator[str]:
    codes = {reason.code for reason in project.reasons}
    if project.round_status is RoundStatus.WAIT:
        share = f"{ratio(project.ready, project.assigned)} ({project.ready}/{project.assigned})"
        yield f"Waiting for more responses. Current Ratio is {share}."
    elif "combining" in codes:
        yield f"Averaging the models of {project.reported} devices."
    elif project.minutes_left is not None:
        share = f"{ratio(project.reported, project.assigned)} ({project.reported} out of {project.assigned})"
        yield f"Waiting for {project.minutes_left} more minutes. Current Ratio is {share}."
    for reason in project.reasons:
        if reason.code not in _ABOUT_ROUNDS:
            yield f"{INDENT}{reason.text}"


def _share(reason: Mapping[str, Any], project: ProjectReport) -> str:
    reported = reason.get("facts", {}).get("reported")
    if reported is None:
        return ""
    return f"Ratio is {ratio(reported, project.assigned)} ({reported} out of {project.assigned}). "


def _text(data: Mapping[str, Any]) -> str:
    return data["reason"]["text"] if data.get("reason") else ""


def _project_json(project: ProjectReport) -> dict[str, Any]:
    return {
        "project": project.id,
        "title": project.title,
        "status": project.status,
        "round": project.round,
        "round_status": project.round_status.label if project.round_status else None,
        "assigned": project.assigned,
        "ready": project.ready,
        "invited": project.invited,
        "reported": project.reported,
        "minutes_left": project.minutes_left,
        "reasons": [_reason_json(reason) for reason in project.reasons],
        "error": project.error,
    }


def _reason_json(reason: Reason) -> dict[str, Any]:
    return {"code": reason.code, "text": reason.text, "facts": dict(reason.facts)}
