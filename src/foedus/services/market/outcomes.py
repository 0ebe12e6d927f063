"""The end of an execution, and what it does to the money."""

from datetime import UTC, datetime

import structlog

from foedus.core.errors import Conflict
from foedus.ports import Ports
from foedus.records.market.models import Execution
from foedus.services.market.settling import give_up, grant
from foedus.services.shell.authorisation import SYSTEM

log = structlog.get_logger()


def end(execution: Execution, state: str, reason: str, output: str) -> None:
    """Write the end down, once; an execution that was stopped before it began stays so."""
    Execution.objects.filter(pk=execution.pk, finished_at=None).update(
        state=state, reason=reason[:500], output=output, joins="", finished_at=datetime.now(UTC)
    )
    execution.refresh_from_db()


def settle(ports: Ports, execution: Execution) -> None:
    """What succeeded is paid for, what failed is given back: once an agreement, whoever comes first."""
    if execution.is_settled:
        return
    step = grant if execution.state == Execution.State.SUCCEEDED else give_up
    try:
        step(ports, SYSTEM, execution.purchase.agreement, now=datetime.now(UTC))
    except Conflict as exc:  # it was settled before: by the clock, by the consumer, or when it started
        log.info("execution.settled_before", execution=execution.execution, reason=exc.message)
    Execution.objects.filter(pk=execution.pk).update(is_settled=True)
