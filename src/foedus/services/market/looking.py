"""The market as operators see it: offers, orders and what became of them, sessions, and the ledger's statements.

Offers are public. What parties buy, sell and have is theirs, and the business of administrators.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db.models import QuerySet

from foedus.core.errors import Forbidden, Invalid, NotFound
from foedus.core.market.dids import Did
from foedus.core.market.documents import Document, Service
from foedus.core.market.escrow import NATIVE
from foedus.core.market.leading import Lead
from foedus.core.market.offers import OFFER_TYPES, Offer, read_offer
from foedus.core.market.search import Exactly
from foedus.ports import Ports
from foedus.ports.ledger import Entry
from foedus.records.market.models import Account, Asset, Execution, LedSession, Purchase
from foedus.records.market.queries import get_asset
from foedus.services.market import agreements, catalogue, money
from foedus.services.market.agreements import Bought
from foedus.services.market.executions import get_execution
from foedus.services.market.leading import Led, shown
from foedus.services.market.node import node_key
from foedus.services.shell.authorisation import Actor
from foedus.services.shell.pages import Page, Window, page_of

SHOWN = 20
_OFFERED = Exactly("service.type", OFFER_TYPES)


@dataclass(frozen=True, slots=True)
class Offered:
    """An offer of an asset; ``name`` and ``description`` as its owner wrote them."""

    asset: Asset
    index: str
    name: str
    description: str
    offer: Offer


@dataclass(frozen=True, slots=True)
class Ordered:
    """A purchase as it stands, what was bought, and its newest runs."""

    bought: Bought
    name: str
    runs: Sequence[Execution]


@dataclass(frozen=True, slots=True)
class RoundLook:
    """A round that is over: how many results it had, and how many samples these came from."""

    number: int
    results: int
    samples: int


@dataclass(frozen=True, slots=True)
class MemberLook:
    """Somebody in a session, by the agreement under which it runs. ``seen_at``: when it last changed something."""

    agreement: str
    standing: str
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class SessionLook:
    """A session, round by round."""

    execution: Execution
    led: Led
    rounds: Sequence[RoundLook]
    members: Sequence[MemberLook]
    ignored: int
    began_at: datetime | None


@dataclass(frozen=True, slots=True)
class Money:
    """What an address has, by token, and what came in and went out; and whose statements there are beside it."""

    address: str
    node: str
    balances: Sequence[tuple[str, int]]
    entries: Sequence[Entry]
    others: Sequence[str]


def list_offers(window: Window) -> Page[Offered]:
    """Everybody's, the newest first."""
    page = page_of(catalogue.search(_OFFERED), window, newest_first=True)
    return Page([each for asset in page.items for each in _offered(asset)], page.next)


def look_at_offers(did: str) -> Sequence[Offered]:
    """The offers of one asset. Raises NotFound."""
    found = _offered(get_asset(Did.parse(did)))
    if not found:
        raise NotFound("this asset offers neither computation nor files")
    return found


def list_orders(ports: Ports, actor: Actor, window: Window, *, now: datetime) -> Page[Ordered]:
    """Those in this ledger that the actor may see, the newest first."""
    rows = _visible(actor).filter(network=ports.ledger.network().id)  # others are in a ledger that is not asked
    page = page_of(rows, Window(window.after, SHOWN), newest_first=True)
    views = [ports.ledger.get(agreements.id_of(each.agreement), now=now) for each in page.items]
    found = [agreements.shown(ports, each, view) for each, view in zip(page.items, views, strict=True)]
    return Page([_ordered(each, runs=1) for each in found], page.next)


def look_at_order(ports: Ports, actor: Actor, agreement: str, *, now: datetime) -> Ordered:
    """Raises NotFound."""
    return _ordered(agreements.get_bought(ports, actor, agreement, now=now), runs=SHOWN)


def list_sessions(actor: Actor, window: Window) -> Page[Execution]:
    """Executions that lead one, the newest first, as far as the actor may see their orders."""
    rows = Execution.objects.filter(led__isnull=False, purchase__in=_visible(actor)).select_related("purchase", "led")
    return page_of(rows, window, newest_first=True)


def look_at_session(ports: Ports, actor: Actor, execution: str) -> SessionLook:
    """Raises NotFound, also for an execution that leads none. Tokens are not in it."""
    found = get_execution(actor, execution)
    led = shown(ports, found)
    if led is None:
        raise NotFound("this execution leads no session")
    kept = LedSession.objects.filter(execution=found).first()
    state = Lead.from_json(kept.state) if kept else None
    return SessionLook(
        execution=found,
        led=led,
        rounds=[RoundLook(n, len(past), sum(past.values())) for n, past in enumerate(state.past if state else ())],
        members=[
            MemberLook(each.agreement, str(each.standing), _time(each.seen_at))
            for each in (state.members if state else ())
        ],
        ignored=state.ignored if state else 0,
        began_at=_time(state.began_at) if state else None,
    )


def look_at_money(ports: Ports, actor: Actor, address: str = "") -> Money:
    """The statement of an address; the node's own, where none is named. Raises Forbidden, Invalid."""
    if not actor.superuser:
        raise Forbidden("only administrators see what parties of the market have")
    node = node_key(ports.secrets).address
    wanted = address or node
    tokens = (ports.ledger.network().token, NATIVE)
    others = Account.objects.order_by("-pk").values_list("address", flat=True)[: 5 * SHOWN]
    return Money(
        address=wanted,
        node=node,
        balances=[(token, money.balance(ports, actor, token, wanted)) for token in tokens],
        entries=money.statement(ports, actor, wanted),
        others=[each for each in others if each != wanted],
    )


def _visible(actor: Actor) -> QuerySet[Purchase]:
    """Parties see theirs by their own login; of operators, administrators see them all."""
    return agreements.list_purchases(actor) if actor.superuser else Purchase.objects.none()


def _offered(asset: Asset) -> Sequence[Offered]:
    document = catalogue.document_of(asset)
    found = []
    for service in document.services:
        if service.type in OFFER_TYPES:
            with suppress(Invalid):  # was kept when this server took what it refuses today: no reason to hide the rest
                found.append(_offer(asset, document, service))
    return found


def _offer(asset: Asset, document: Document, service: Service) -> Offered:
    return Offered(asset, service.index, document.name or str(asset), document.description, read_offer(service))


def _ordered(bought: Bought, *, runs: int) -> Ordered:
    document = catalogue.document_of(bought.purchase.asset)
    newest = bought.purchase.executions.order_by("-pk")[:runs]
    return Ordered(bought, document.name or str(document.did), list(newest))


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
