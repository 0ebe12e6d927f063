"""Buying the right to compute, or to files: orders, and what is known of them.

Money is in the ledger alone. A ``Purchase`` remembers which offer an agreement is about. Steps on the ledger are taken
outside of transactions and in such an order that, wherever a process dies, whoever comes next goes on from there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet

from foedus.core.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from foedus.core.market.dids import Did
from foedus.core.market.documents import Document, Service
from foedus.core.market.escrow import Agreement, Outcome, State, Terms
from foedus.core.market.offers import COMPUTE_TYPES, OFFER_TYPES, Offer, read_offer
from foedus.core.market.ordering import Step, closes_at, timeline, waits_for, windows_of
from foedus.ports import Ports
from foedus.ports.ledger import DidUnregistered, Network, Order
from foedus.records.market.models import Asset, AssetVersion, Purchase
from foedus.records.market.queries import get_asset
from foedus.services.market.bought import agreement_of
from foedus.services.market.node import node_key
from foedus.services.market.parties import party_of
from foedus.services.market.purchases import condition_ids
from foedus.services.shell import audit
from foedus.services.shell.authorisation import SYSTEM, Actor, Kind, Verb, require
from foedus.wallet.keys import checked_address

AGAIN = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderOffer:
    """Buy an offer of the asset ``did``: of its service ``index``, or of its only one that offers computation.

    ``seed`` (32 random bytes, kept by the consumer) makes the order one: sent again, it is the same order.
    """

    did: Did
    seed: bytes
    index: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bought:
    """A purchase and its agreement, as both are now. ``waits_for`` is a sentence, empty once all is over."""

    purchase: Purchase
    agreement: Agreement
    offer: Offer
    steps: tuple[Step, ...]
    waits_for: str

    @property
    def outcome(self) -> Outcome:
        return self.agreement.outcome


def register_asset(
    ports: Ports, actor: Actor, did: Did, providers: Sequence[str] = (), *, now: datetime
) -> Sequence[str]:
    """Make an asset known to the ledger; who provides it beside its owner: those named, or this node.

    An order here does so by itself. Whoever orders elsewhere, as from a wallet, finds only what is registered.
    On a chain the market's operator pays: an owner has it done once, and an administrator has providers changed.
    Raises Forbidden unless the actor is its owner, Conflict where nobody has proved to be it, ProvidersKept.
    """
    asset = get_asset(did)
    require(actor, Verb.CHANGE, asset)
    wanted = [checked_address(each) for each in providers] or [node_key(ports.secrets).address]
    _register(ports, asset, wanted, now, may_change=actor.superuser)
    return wanted


def order(ports: Ports, actor: Actor, command: OrderOffer, *, now: datetime) -> Bought:
    """Make an agreement on an offer, and pay its price into escrow.

    May be repeated with the same seed until it succeeds. Raises NotFound, Invalid for what is no offer, NoFunds (the
    agreement is made, and can still be paid), and what the ledger refuses.
    """
    if actor.kind is not Kind.PARTY or not actor.name:
        raise Unauthenticated("log in with your key to order something")
    asset = get_asset(command.did)
    service = _service(_document(asset), command.index)
    offer, network = read_offer(service), ports.ledger.network()
    terms = terms_of(offer, command.did, actor.name, actor.name, network)
    windows = windows_of(offer, network.block_s)
    wanted = Order(seed=command.seed, creator=actor.name, terms=terms, windows=windows)
    try:
        made = ports.ledger.create(wanted, now=now)
    except DidUnregistered:
        _register(ports, asset, [node_key(ports.secrets).address], now)
        made = ports.ledger.create(wanted, now=now)
    purchase = _keep(ports, actor, asset, service, made, now)
    return _pay(ports, purchase, actor.name, now)


def take_up(ports: Ports, actor: Actor, agreement: str, index: str = "", *, now: datetime) -> Bought:
    """Remember an agreement that its consumer made on the ledger without us, if it is one on our offer as it stands.

    Raises NotFound, Forbidden when its terms are not the offer's.
    """
    made = ports.ledger.get(id_of(agreement), now=now)
    if actor.name != made.terms.consumer and not actor.superuser:
        raise NotFound("there is no such agreement, or not for you")
    asset = get_asset(made.terms.did)
    service = _service(_document(asset), index)
    check_terms(made, read_offer(service), ports.ledger.network())
    return _bought(ports, _keep(ports, actor, asset, service, made, now), now)


def pay(ports: Ports, actor: Actor, agreement: str, *, now: datetime) -> Bought:
    """Pay for an agreement that is not paid yet: the consumer's money, by the consumer's wish."""
    purchase = found(actor, Verb.CHANGE, agreement)
    return _pay(ports, purchase, purchase.consumer, now)


def consumer_of(ports: Ports, agreement: str, *, now: datetime) -> Actor:
    """The party that made an agreement, for those who act in its name. Raises NotFound."""
    return party_of(ports.ledger.get(id_of(agreement), now=now).terms.consumer, now=now)


def get_bought(ports: Ports, actor: Actor, agreement: str, *, now: datetime) -> Bought:
    """Raises NotFound for what does not exist, and for what is not the actor's business."""
    return _bought(ports, found(actor, Verb.READ, agreement), now)


def list_purchases(actor: Actor) -> QuerySet[Purchase]:
    """What the actor has bought or sold, the newest first; an administrator's: everything."""
    rows = Purchase.objects.select_related("asset").order_by("-pk")
    if actor.superuser:
        return rows
    return rows.filter(Q(consumer=actor.name) | Q(asset__owner=actor.name)) if actor.name else rows.none()


def terms_of(offer: Offer, did: Did, consumer: str, return_address: str, network: Network) -> Terms:
    """What an offer asks for, on this network. Raises Invalid naming the address that is none."""
    return Terms(
        did=did,
        consumer=consumer,
        amounts=offer.price.amounts,
        receivers=tuple(checked_address(each) for each in offer.price.receivers),
        token=checked_address(offer.price.token) if offer.price.token else network.token,
        return_address=return_address,
    )


def warnings_of(offer: Offer, network: Network) -> tuple[str, ...]:
    """What a consumer should know of an offer before paying, which is no reason to refuse it."""
    # One library writes the address of the computation's contract where the template's should stand.
    known = (network.template.lower(), network.contracts.compute.lower(), "")
    if offer.template.lower() in known:
        return offer.warnings
    made = f"the offer names {offer.template} as its template, and agreements are made by {network.template} here"
    return (*offer.warnings, made)


def check_terms(agreement: Agreement, offer: Offer, network: Network) -> None:
    """Raise Forbidden unless the agreement's conditions are those that the offer leads to, recomputed from it."""
    terms = terms_of(offer, agreement.terms.did, agreement.terms.consumer, agreement.terms.return_address, network)
    if condition_ids(agreement.id, terms, network.contracts) != agreement.ids:
        raise Forbidden("the agreement's conditions are not those of the offer", agreement=agreement.id.hex())


def offer_of(purchase: Purchase) -> Offer:
    """The offer as it was bought, whatever became of the document since."""
    version = AssetVersion.objects.get(asset=purchase.asset_id, number=purchase.version)
    return read_offer(_service(Document.read(version.document.encode()), purchase.service))


def _pay(ports: Ports, purchase: Purchase, payer: str, now: datetime) -> Bought:
    view = ports.ledger.lock(id_of(purchase.agreement), payer=payer, now=now)
    plan(ports, purchase, view, now)
    return shown(ports, purchase, view)


def plan(ports: Ports, purchase: Purchase, view: Agreement, now: datetime) -> None:
    """Say when the clock has to look next."""
    block_s = ports.ledger.network().block_s
    if view.escrow.state is not State.UNFULFILLED or view.lock.state is State.ABORTED:
        check_again(purchase, None)
    elif view.compute.state is State.UNFULFILLED:
        closes = closes_at(view, view.compute, block_s)
        check_again(purchase, max(closes, now + timedelta(seconds=1)) if closes else None)
    else:
        check_again(purchase, now + AGAIN if view.is_locked else None)


def check_again(purchase: Purchase, at: datetime | None) -> None:
    purchase.next_check_at = at
    purchase.save(update_fields=["next_check_at"])


def _keep(ports: Ports, actor: Actor, asset: Asset, service: Service, made: Agreement, now: datetime) -> Purchase:
    purchase, is_new = Purchase.objects.get_or_create(
        agreement=made.id.hex(),
        defaults={
            "network": ports.ledger.network().id,
            "asset": asset,
            "version": asset.version,
            "service": service.index,
            "consumer": made.terms.consumer,
            "created_at": now,
        },
    )
    if is_new:
        plan(ports, purchase, made, now)
        audit.record(actor, "agreement.made", purchase.agreement, organisation_id=None, now=now, asset=str(asset))
    return purchase


def _register(ports: Ports, asset: Asset, providers: Sequence[str], now: datetime, *, may_change: bool = False) -> None:
    if not asset.owner:
        raise Conflict(
            f"nobody has proved to own {asset}, so that nobody could provide it; publish it with a signature"
        )
    did = Did(bytes.fromhex(asset.did))
    ports.ledger.register(did, owner=asset.owner, providers=providers, now=now, may_change=may_change)


def found(actor: Actor, verb: Verb, agreement: str) -> Purchase:
    purchase = Purchase.objects.select_related("asset").filter(agreement=agreement_of(agreement)).first()
    if purchase is None:
        raise NotFound("there is no such agreement, or not for you", agreement=str(agreement)[:80])
    if actor is not SYSTEM:
        require(actor, verb, purchase)
    return purchase


def _bought(ports: Ports, purchase: Purchase, now: datetime) -> Bought:
    return shown(ports, purchase, ports.ledger.get(id_of(purchase.agreement), now=now))


def shown(ports: Ports, purchase: Purchase, view: Agreement) -> Bought:
    block_s, offer = ports.ledger.network().block_s, offer_of(purchase)
    return Bought(
        purchase=purchase,
        agreement=view,
        offer=offer,
        steps=timeline(view, block_s),
        waits_for=waits_for(view, offer, block_s),
    )


def _service(document: Document, index: str) -> Service:
    """The service of that index; where none is named, the only one that offers computation, or else the only offer."""
    offered = [each for each in document.services if each.type in OFFER_TYPES and index in ("", each.index)]
    if not index:
        offered = [each for each in offered if each.type in COMPUTE_TYPES] or offered
    if not offered:
        raise NotFound(f"{document.did} has no offer{f' with the index {index[:10]}' if index else ''}")
    if len(offered) > 1:
        raise Invalid(f"name one of the offers: {', '.join(each.index for each in offered)}", field="index")
    return offered[0]


def _document(asset: Asset) -> Document:
    return Document.read(asset.document.encode())


def id_of(agreement: str) -> bytes:
    return bytes.fromhex(agreement_of(agreement))
