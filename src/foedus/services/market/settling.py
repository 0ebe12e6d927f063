"""What becomes of an agreement's money: released, given back, or put right by the clock."""

from datetime import datetime

import structlog

from foedus.core.errors import Conflict, PlatformError
from foedus.core.market.escrow import Agreement, Outcome, State, TooEarly
from foedus.ports import Ports
from foedus.records.market.models import Purchase
from foedus.services.market.agreements import AGAIN, Bought, check_again, found, id_of, plan, shown
from foedus.services.market.node import node_key
from foedus.services.shell import audit
from foedus.services.shell.authorisation import Actor, Verb

log = structlog.get_logger()

_AT_A_TIME = 500


def grant(ports: Ports, actor: Actor, agreement: str, *, now: datetime) -> Bought:
    """Say that the computation was granted, which makes the money the receivers', and release it.

    The node calls it when an execution has succeeded, or has started where the offer's ``releasePolicy`` says so.
    """
    return _grant(ports, actor, found(actor, Verb.WORK, agreement), now)


def accept(ports: Ports, actor: Actor, agreement: str, *, now: datetime) -> Bought:
    """The consumer is content, whatever the node says: the money is released."""
    return _grant(ports, actor, found(actor, Verb.CHANGE, agreement), now)


def give_up(ports: Ports, actor: Actor, agreement: str, *, now: datetime) -> Bought:
    """Who provides says that the computation will not succeed: the money goes back at once."""
    return _abort(ports, actor, found(actor, Verb.WORK, agreement), node_key(ports.secrets).address, now)


def refund(ports: Ports, actor: Actor, agreement: str, *, now: datetime) -> Bought:
    """Get the money back once the window has passed. Raises NotTimedOut before, BadTransition once it was granted."""
    purchase = found(actor, Verb.READ, agreement)
    return _abort(ports, actor, purchase, purchase.consumer, now)


def settle_due(ports: Ports, *, now: datetime) -> int:
    """What time alone changes, and what a crash left undone; how many purchases were looked at.

    Computations whose window has passed are aborted, and escrows emptied to whom they are due. One that fails does not
    hold up the others.
    """
    due = Purchase.objects.filter(next_check_at__lte=now).select_related("asset").order_by("next_check_at")
    ours = ports.ledger.network().id
    rows = list(due.filter(network=ours)[:_AT_A_TIME])
    due.exclude(network=ours).update(next_check_at=now + AGAIN)  # should that ledger ever come back
    for purchase in rows:
        try:
            _settle_due(ports, purchase, now)
        except PlatformError as exc:
            log.warning("market.settle_failed", agreement=purchase.agreement, error=exc.code, reason=exc.message)
            check_again(purchase, now + AGAIN)
    return len(rows)


def _settle_due(ports: Ports, purchase: Purchase, now: datetime) -> None:
    view = ports.ledger.get(id_of(purchase.agreement), now=now)
    us = node_key(ports.secrets).address
    if view.compute.state is State.UNFULFILLED and view.compute.is_timed_out(view.block):
        view = ports.ledger.abort(view.id, by=us, now=now)
    if view.is_locked and view.compute.state is not State.UNFULFILLED:
        view = _settled(ports, view, us, now)
    plan(ports, purchase, view, now)


def _grant(ports: Ports, actor: Actor, purchase: Purchase, now: datetime) -> Bought:
    us = node_key(ports.secrets).address
    check_again(purchase, now)  # should we die between the two steps, the clock takes the second
    view = ports.ledger.grant(id_of(purchase.agreement), by=us, now=now)
    return _end(ports, actor, purchase, view, now)


def _abort(ports: Ports, actor: Actor, purchase: Purchase, by: str, now: datetime) -> Bought:
    check_again(purchase, now)
    try:
        view = ports.ledger.abort(id_of(purchase.agreement), by=by, now=now)
    except Conflict:
        plan(ports, purchase, ports.ledger.get(id_of(purchase.agreement), now=now), now)
        raise
    return _end(ports, actor, purchase, view, now)


def _end(ports: Ports, actor: Actor, purchase: Purchase, view: Agreement, now: datetime) -> Bought:
    if view.is_locked:
        view = _settled(ports, view, node_key(ports.secrets).address, now)
    plan(ports, purchase, view, now)
    verb = f"agreement.{view.outcome}" if view.outcome is not Outcome.OPEN else "agreement.resolved"
    audit.record(actor, verb, purchase.agreement, organisation_id=None, now=now, compute=view.compute.state.name)
    return shown(ports, purchase, view)


def _settled(ports: Ports, view: Agreement, by: str, now: datetime) -> Agreement:
    try:
        return ports.ledger.settle(view.id, by=by, now=now)
    except TooEarly:  # the offer keeps the escrow closed for a while; the clock comes back
        return view
