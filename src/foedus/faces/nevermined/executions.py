"""Executions as this dialect shows them: steps are pods, logs are one object a line."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from foedus.core.market.dids import Did
from foedus.faces.nevermined.schemas import when
from foedus.records.market.models import Execution
from foedus.services.market.leading import Led, told

POD = "transformation"
_WAITS = "waits for a worker of this node"


def status(execution: Execution, session: Led | None = None) -> dict[str, Any]:
    """``did`` is what was published, once that is. ``reason`` is ours: why it waits, or why it failed.

    ``open_to`` is ours too, and there only where the program could reach more than it should.
    ``session``: the one that the execution leads, with tokens that let its participants in, by agreement.
    """
    started, finished = _when(execution.started_at), _when(execution.finished_at)
    pod = {
        "podName": f"{execution}-{POD}",
        "status": execution.state,
        "startedAt": started,
        "finishedAt": finished,
    }
    led = {"coordinator": {**told(session, execution), "tokens": dict(session.tokens)}} if session else {}
    reach = {"open_to": execution.open_to.splitlines()} if execution.open_to else {}
    return {
        **led,
        **reach,
        "status": execution.state,
        "startedAt": started or when(execution.created_at),
        "finishedAt": finished,
        "did": str(Did(bytes.fromhex(execution.output))) if execution.output else None,
        "pods": [pod] if execution.started_at else [],
        "reason": execution.reason or _wait_of(execution, session),
    }


def _wait_of(execution: Execution, session: Led | None) -> str:
    if execution.state == Execution.State.PENDING:
        return _WAITS
    return session.waits_for if session else ""


def logs(execution: Execution, lines: Sequence[str]) -> list[dict[str, str]]:
    return [{"podName": f"{execution}-{POD}", "content": line} for line in lines]


def _when(at: datetime | None) -> str | None:
    return when(at) if at else None
