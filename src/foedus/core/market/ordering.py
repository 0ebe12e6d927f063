"""From an offer to the agreement that it leads to: until when what has to happen, and what is waited for."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from foedus.core.market.aliases import ACCESS, COMPUTE, ESCROW, LOCK
from foedus.core.market.escrow import MAX_BLOCKS, Agreement, Condition, State, Window, Windows
from foedus.core.market.offers import ACCESS_TYPES, Offer

DEFAULT_COMPUTE_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A condition on its way: ``at`` is since when its state is so, ``until`` about when its window closes."""

    name: str
    state: State
    at: datetime
    until: datetime | None


def windows_of(offer: Offer, block_s: float) -> Windows:
    """The windows that an offer states, by the names of its conditions.

    Where it leaves the computation's open, that one closes after the offer's ``timeout``, or after a day: what can
    never time out could never be refunded. The escrow's timeout is left out, since it would trap the money.
    """
    stated = {name: _window(offer, name) for name in (LOCK, COMPUTE, ACCESS, ESCROW)}
    compute = stated[ACCESS if offer.type in ACCESS_TYPES else COMPUTE]
    if not compute.timeout:
        blocks = ceil((offer.timeout_s or DEFAULT_COMPUTE_S) / (block_s or 1.0))
        compute = Window(compute.timelock, min(max(blocks, compute.timelock + 1), MAX_BLOCKS - 1))
    return Windows(stated[LOCK], compute, Window(stated[ESCROW].timelock, 0))


def timeline(agreement: Agreement, block_s: float) -> tuple[Step, ...]:
    """Its conditions in the order in which they are usually met."""
    return tuple(
        Step(name=each.name, state=each.state, at=each.at, until=closes_at(agreement, each, block_s))
        for each in agreement.conditions
    )


def closes_at(agreement: Agreement, condition: Condition, block_s: float) -> datetime | None:
    """When an open condition times out, as far as blocks come as they should; None where it never will."""
    if condition.state is not State.UNFULFILLED or not condition.window.timeout:
        return None
    seconds = (condition.window.timeout + 1) * (block_s or 1.0)
    return agreement.created_at + timedelta(seconds=min(seconds, 3e9))


def waits_for(agreement: Agreement, offer: Offer, block_s: float) -> str:
    """What an agreement on an offer waits for, as a sentence; empty once its money has left the escrow."""
    if agreement.escrow.state is not State.UNFULFILLED:
        return ""
    if agreement.lock.state is State.ABORTED:
        return "for nothing: the window in which to pay was missed"
    if agreement.lock.state is State.UNFULFILLED:
        return f"for the payment of {agreement.terms.total}"
    match agreement.compute.state:
        case State.FULFILLED:
            return "for the escrow to be released to the receivers"
        case State.ABORTED:
            return "for the escrow to be refunded"
    until = closes_at(agreement, agreement.compute, block_s)
    ending = f", and is refunded if that has not happened by {until:%Y-%m-%d %H:%M:%S} UTC" if until else ""
    return f"for {offer.granted} to be granted{ending}"


def _window(offer: Offer, name: str) -> Window:
    stated = offer.conditions.get(name)
    return Window(stated.timelock, stated.timeout) if stated else Window()
