"""The market: what is on offer, what became of orders, sessions round by round, and where the money is."""

from dataclasses import dataclass
from datetime import datetime

from foedus.core.errors import Unavailable
from foedus.core.market.aliases import COMPUTE, ESCROW, LOCK
from foedus.core.market.escrow import Outcome, State
from foedus.core.market.ordering import Step
from foedus.faces.console.structure import Context, Look, Section, View
from foedus.services.market import looking
from foedus.services.market.agreements import Bought
from foedus.services.market.looking import Ordered
from foedus.services.shell.pages import Window

_ROUNDS = 10  # that are in sight at once
_DONE = {LOCK: "the price is in escrow", COMPUTE: "{} was granted", ESCROW: "the money left the escrow"}
_OPEN = {LOCK: "the price is to be paid", COMPUTE: "{} is to be granted", ESCROW: "the money is to leave the escrow"}
_UNDONE = {LOCK: "nothing was paid in time", COMPUTE: "{} was not granted"}
_MONEY = {Outcome.RELEASED: "the receivers have the money", Outcome.REFUNDED: "the buyer has the money back"}


@dataclass(frozen=True, slots=True)
class Moment:
    """A point of an order's timeline. ``kind``: done, open or undone; ``at`` None is still to come."""

    kind: str
    text: str
    at: datetime | None
    until: datetime | None = None
    href: str = ""


def offers(look: Look) -> Context:
    page = looking.list_offers(Window(after=look.after))
    sessions = looking.list_sessions(look.actor, Window(limit=looking.SHOWN))
    found: Context = {"offers": page.items, "next": page.next, "sessions": sessions.items}
    try:
        orders = looking.list_orders(look.ports, look.actor, Window(), now=look.now)
    except Unavailable as exc:  # a chain that is away hides what it knows, and nothing else
        return {**found, "away": exc.message}
    return {**found, "orders": orders.items}


def offer(look: Look, did: str) -> Context:  # noqa: ARG001 - offers are public
    return {"offers": looking.look_at_offers(did), "did": did}


def orders(look: Look) -> Context:
    page = looking.list_orders(look.ports, look.actor, Window(after=look.after), now=look.now)
    return {"orders": page.items, "next": page.next}


def order(look: Look, agreement: str) -> Context:
    found = looking.look_at_order(look.ports, look.actor, agreement, now=look.now)
    shares = zip(found.bought.agreement.terms.receivers, found.bought.agreement.terms.amounts, strict=True)
    return {"order": found, "moments": timeline(found), "shares": list(shares)}


def session(look: Look, execution: str) -> Context:
    found = looking.look_at_session(look.ports, look.actor, execution)
    rounds = found.rounds[::-1]
    return {"session": found, "newest": rounds[:_ROUNDS], "older": rounds[_ROUNDS:]}


def statement(look: Look) -> Context:
    return {"money": looking.look_at_money(look.ports, look.actor, look.query.get("address", ""))}


def timeline(found: Ordered) -> list[Moment]:
    """What happened, in its order, and then what is still open."""
    bought = found.bought
    moments = [Moment("done", "ordered", bought.agreement.created_at)]
    moments += [_moment(step, bought) for step in bought.steps]
    for run in found.runs:
        moments.append(Moment("done", f"run {run} was asked for", run.created_at))
        if run.started_at:
            moments.append(Moment("done", f"run {run} began", run.started_at))
        if run.finished_at:
            kind = "done" if run.state == run.State.SUCCEEDED else "undone"
            reason = f": {run.reason}" if run.reason else ""
            moments.append(Moment(kind, f"run {run}: {run.state.lower()}{reason}", run.finished_at))
    happened = sorted((each for each in moments if each.at), key=lambda each: each.at)  # type: ignore[arg-type, return-value]
    return happened + [each for each in moments if not each.at]


def _moment(step: Step, bought: Bought) -> Moment:
    name, granted = step.name, bought.offer.granted
    match step.state:
        case State.FULFILLED:
            done = _DONE[name].format(granted)
            return Moment("done", _MONEY.get(bought.outcome, done) if name == ESCROW else done, step.at)
        case State.ABORTED:
            return Moment("undone", _UNDONE.get(name, "the escrow was closed").format(granted), step.at)
    return Moment("open", _OPEN[name].format(granted), None, step.until)


SECTION = Section(
    "market", "Market", 30,
    (
        View("", "market.html", offers),
        View("offers/<str:did>/", "market_offer.html", offer),
        View("orders/", "market_orders.html", orders),
        View("orders/<slug:agreement>/", "market_order.html", order),
        View("sessions/<slug:execution>/", "market_session.html", session),
        View("statement/", "market_statement.html", statement),
    ),
)  # fmt: skip
