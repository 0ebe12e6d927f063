"""The end of an execution, and what it does to the money."""

from contextlib import suppress
from datetime import UTC, datetime

import structlog

from foedus.core.errors import Conflict, Invalid, Unavailable
from foedus.core.market.escrow import Agreement, State, TooEarly
from foedus.ports import Ports
from foedus.records.market.models import Asset, Execution
from foedus.services.market.agreements import id_of
from foedus.services.market.settling import give_up, grant
from foedus.services.shell.authorisation import SYSTEM

log = structlog.get_logger()


class Forfeited(Invalid):
    """It came after the time in which it could be had: nobody can be paid for it any more."""


def pay_on_start(ports: Ports, execution: Execution) -> None:
    """Grant what is paid for by starting it, as often as it is started. Raises Forfeited where that is too late."""
    with suppress(Conflict):  # too early, the end of the execution pays for it
        grant(ports, SYSTEM, execution.purchase.agreement, now=datetime.now(UTC))
    check_payable(ports, execution)


def check_payable(ports: Ports, execution: Execution) -> None:
    """Raise Forfeited where the money can become the receivers' no longer: what it would buy is not handed out."""
    if ports.ledger.get(id_of(execution.purchase.agreement), now=datetime.now(UTC)).is_window_over:
        raise Forfeited


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
        view = step(ports, SYSTEM, execution.purchase.agreement, now=datetime.now(UTC)).agreement
    except TooEarly as exc:  # the offer grants nothing before its time: the job comes back until then
        raise Unavailable(exc.message) from exc
    except Conflict as exc:  # it was settled before: by the clock, by the consumer, or when it started
        log.info("execution.settled_before", execution=execution.execution, reason=exc.message)
        view = ports.ledger.get(id_of(execution.purchase.agreement), now=datetime.now(UTC))
    if execution.output:
        _hand_over(execution, view)
    Execution.objects.filter(pk=execution.pk).update(is_settled=True)


def _hand_over(execution: Execution, view: Agreement) -> None:
    """What was published is whose money bought it, or nobody's: the window may have closed while it was published.

    Raises Unavailable where the ledger has not made up its mind.
    """
    asset = Asset.objects.filter(did=execution.output)
    if view.compute.state is State.FULFILLED:
        asset.update(owner=execution.consumer)  # the node's key has signed for what it made
    elif view.is_window_over:
        asset.update(is_listed=False, is_retired=True)
        late = Execution.objects.filter(pk=execution.pk)
        late.update(state=Execution.State.FAILED, reason=Forfeited().message, output="")
        execution.refresh_from_db()
    else:
        raise Unavailable("the ledger has not confirmed yet what became of the agreement")


def is_granted(ports: Ports, execution: Execution) -> bool:
    """Whether the money of its agreement is, or will be, its receivers'."""
    view = ports.ledger.get(id_of(execution.purchase.agreement), now=datetime.now(UTC))
    return view.compute.state is State.FULFILLED
