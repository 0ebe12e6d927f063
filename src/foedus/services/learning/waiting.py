"""What a project or a round waits for, or how it ended: looked at, never changed."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from foedus.core.rounds import Phase, Reason, RoundView, Wait, next_step
from foedus.records.learning.counting import round_view
from foedus.records.learning.models import Project, Round
from foedus.records.learning.queries import find_open_round
from foedus.services.learning.measuring import awaited_evaluation
from foedus.services.learning.rules import policy_of


def reasons_of(project: Project, now: datetime, *, named: bool = True) -> tuple[Reason, ...]:
    """What a project waits for, or why it stands still; by name only for those who may inspect. Changes nothing."""
    match project.state:
        case Project.State.DRAFT:
            return (Reason("no_model", "The project waits for its initial model."),)
        case Project.State.PAUSED:
            return (_kept_reason(project.finish_reason) or Reason("paused", "An operator paused the project."),)
        case Project.State.FINISHED:
            return (_kept_reason(project.finish_reason) or Reason("finished", "The project is finished."),)
    current = find_open_round(project)
    if current is None and (awaited := awaited_evaluation(project)) is not None:
        text = f"Checkpoint {awaited.number} is being evaluated; the next round waits for that."
        return (Reason("evaluating", text, {"checkpoint": awaited.number}),)
    if current is None:
        return (Reason("between_rounds", "The next round is about to be opened."),)
    return reasons_of_round(project, current, now, named=named)


def reasons_of_round(project: Project, current: Round, now: datetime, *, named: bool = True) -> tuple[Reason, ...]:
    """What a round waits for, or how it ended; by name only for those who may inspect. Changes nothing."""
    if current.state is Phase.COMPLETE:  # the machine would say so too, once everything was counted
        return (Reason("round_over", f"Round {current.number} is complete."),)
    if current.state is Phase.INVALID:
        return (_kept_reason(current.reason) or Reason("invalid", f"Round {current.number} is invalid."),)
    if project.state == Project.State.PAUSED and current.state.is_open:
        return reasons_of(project, now, named=named)
    policy = policy_of(current)
    view = round_view(project, current, policy, now)
    decision = next_step(policy, view if named else _unnamed(view), now)
    if isinstance(decision, Wait):
        return decision.reasons
    return (Reason("due", f"Round {current.number} is about to move on."),)


def reason_json(reason: Reason) -> dict[str, Any]:
    """A reason as it is kept in JSON columns and sent over the wire."""
    return {"code": reason.code, "text": reason.text, "facts": dict(reason.facts)}


def _unnamed(view: RoundView) -> RoundView:
    """The view for one participant's eyes: who the others are and when they were seen is not for it to know.

    Policies cannot tell what they do not get; what they decide rests on keys and counts, which stay.
    """
    hidden = tuple(replace(c, name="another participant") for c in view.candidates)
    return replace(view, candidates=hidden, pending=())


def _kept_reason(kept: dict[str, Any] | None) -> Reason | None:
    return None if kept is None else Reason(kept["code"], kept["text"], kept.get("facts", {}))
