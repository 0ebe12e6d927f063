"""What a party has bought from this node, looked at before anything is run or handed out."""

from collections.abc import Collection
from datetime import datetime

from foedus.core.errors import Conflict, Forbidden, Invalid, NotFound
from foedus.core.market.dids import Did
from foedus.core.market.documents import Document
from foedus.core.market.escrow import Agreement
from foedus.core.market.offers import Offer, read_offer
from foedus.ports import Ports
from foedus.ports.ledger import AgreementMissing
from foedus.records.market.models import Purchase
from foedus.records.market.queries import find_asset
from foedus.services.market.agreements import check_terms, id_of, offer_of, take_up
from foedus.services.market.catalogue import document_of
from foedus.services.market.node import node_key
from foedus.services.shell.authorisation import Actor


class Unpaid(Conflict):
    """The agreement is not paid: its price is not in escrow."""


class WindowOver(Conflict):
    """The time in which this could be had is over."""


def bought_by(
    ports: Ports, party: Actor, agreement: str, kinds: Collection[str], *, now: datetime
) -> tuple[Purchase, Offer, Agreement]:
    """The party's purchase of an offer of one of these ``kinds``, paid for and not too late.

    The checks come in the order in which the market states them. Raises NotFound, Forbidden, Unpaid, WindowOver.
    """
    view = _agreement(ports, party, agreement, now)
    if not view.is_provided_by(node_key(ports.secrets).address):
        raise Forbidden("this node is not a provider of the asset that was bought")
    purchase = _purchase(ports, party, view, kinds, now)
    offer = offer_of(purchase)
    if offer.type not in kinds:
        raise Forbidden(f"the agreement is on an offer of type {offer.type}, which grants nothing of the kind")
    check_terms(view, offer, ports.ledger.network())
    if not view.is_locked:
        raise Unpaid
    if view.is_window_over:
        raise WindowOver
    return purchase, offer, view


def _agreement(ports: Ports, party: Actor, agreement: str, now: datetime) -> Agreement:
    try:
        view = ports.ledger.get(id_of(agreement), now=now)
    except AgreementMissing as exc:
        raise NotFound("there is no such agreement") from exc
    if view.terms.consumer != party.name:
        raise Forbidden("this agreement is somebody else's")
    return view


def _purchase(ports: Ports, party: Actor, view: Agreement, kinds: Collection[str], now: datetime) -> Purchase:
    """The purchase, also where the consumer made the agreement on the ledger without us."""
    kept = Purchase.objects.select_related("asset").filter(agreement=view.id.hex()).first()
    if kept is not None:
        return kept
    index = _service_agreed(ports, view, kinds)
    return take_up(ports, party, view.id.hex(), index, now=now).purchase


def _service_agreed(ports: Ports, view: Agreement, kinds: Collection[str]) -> str:
    """The index of the first service whose offer leads to the agreement's conditions."""
    for service in _document(view.terms.did).services:
        if service.type in kinds:
            try:
                check_terms(view, read_offer(service), ports.ledger.network())
            except (Forbidden, Invalid):
                continue
            return service.index
    raise Forbidden("the agreement's conditions are those of no offer of this asset", agreement=view.id.hex())


def _document(did: Did) -> Document:
    asset = find_asset(did)
    if asset is None or asset.is_retired:
        raise Forbidden(f"this node offers nothing of {did}")
    return document_of(asset)
