"""Executions: runs of a workflow under an agreement, from the checks before one to what became of it."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from secrets import token_hex

from django.db import IntegrityError, transaction
from django.db.models import Q

from foedus.core.errors import Conflict, Forbidden, Invalid, NotFound
from foedus.core.market.assets import Coordinator, Workflow, read_asset
from foedus.core.market.dids import Did
from foedus.core.market.documents import Document
from foedus.core.market.escrow import Agreement, State
from foedus.core.market.fitting import container_of, led_stage_of, server_of, stage_of
from foedus.core.market.offers import Offer
from foedus.ports import Ports
from foedus.ports.compute import Session
from foedus.ports.ledger import AgreementMissing
from foedus.records.market.models import Asset, Execution, Purchase
from foedus.records.market.queries import get_asset
from foedus.services.market.agreements import check_terms, get_bought, id_of, take_up
from foedus.services.market.bought import agreement_of
from foedus.services.market.catalogue import document_of
from foedus.services.market.joining import sealed_session
from foedus.services.market.node import node_key
from foedus.services.market.promises import LEAD_JOB, RUN_JOB
from foedus.services.market.tickets import Ticket
from foedus.services.shell import audit, jobs
from foedus.services.shell.authorisation import SYSTEM, Actor, Verb, require

PREFIX = "nevermined-compute-"
MAX_LINES = 10_000
_NAME_BYTES = 8
_LED = Q(state="Running", led__isnull=False)
# What counts as had. Where starting is what is paid for, failing is the program's own affair.
_HAD = {
    "onSuccess": (Execution.State.SUCCEEDED,),
    "onStart": (Execution.State.SUCCEEDED, Execution.State.FAILED),
}


class Unpaid(Conflict):
    """The agreement is not paid: its price is not in escrow."""


class WindowOver(Conflict):
    """The time in which this computation could be had is over."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to run under which agreement, all checks passed; ``leads``: whether it is a session to lead."""

    purchase: Purchase
    document: Document
    leads: bool


def start(ports: Ports, ticket: Ticket, joins: Session | None = None, *, now: datetime) -> Execution:
    """Start what the ticket is for, as a participant of the session that it ``joins``.

    The checks come in the order in which the market states them; the first that fails decides the answer: NotFound,
    Forbidden, Unpaid, WindowOver, Conflict, Invalid.
    """
    wanted = _checked(ports, ticket, joins, now)
    try:
        with transaction.atomic():
            execution = Execution.objects.create(
                execution=PREFIX + token_hex(_NAME_BYTES),
                purchase=wanted.purchase,
                did=wanted.document.did.hex,
                document=wanted.document.raw,
                consumer=ticket.party.name,
                joins=sealed_session(ports, joins) if joins else "",
                created_at=now,
            )
            jobs.enqueue(ports, LEAD_JOB if wanted.leads else RUN_JOB, execution.execution, now)
            audit.record(
                ticket.party, "execution.started", execution.execution, organisation_id=None, now=now,
                agreement=wanted.purchase.agreement,
            )  # fmt: skip
    except IntegrityError as exc:
        raise _already() from exc
    return execution


def get_execution(actor: Actor, execution: str, verb: Verb = Verb.READ) -> Execution:
    """Raises NotFound for what is not there, or not the actor's business."""
    found = Execution.objects.select_related("purchase__asset").filter(execution=execution[:64]).first()
    if found is None:
        raise NotFound("there is no such execution, or not for you")
    require(actor, verb, found.purchase)
    return found


def check_agreement(execution: Execution, agreement: str) -> None:
    """Raise NotFound unless the execution is one of this agreement."""
    if execution.purchase.agreement != agreement_of(agreement):
        raise NotFound("there is no such execution under this agreement")


def list_executions(actor: Actor) -> Sequence[Execution]:
    """Those of the actor's purchases and sales, the newest first; an administrator's: all; at most a thousand."""
    rows = Execution.objects.select_related("purchase__asset").order_by("-pk")
    if not actor.superuser:
        mine = Purchase.objects.filter(consumer=actor.name) | Purchase.objects.filter(asset__owner=actor.name)
        rows = rows.filter(purchase__in=mine) if actor.name else rows.none()
    return list(rows[:1000])


def log_of(ports: Ports, execution: Execution) -> Sequence[str]:
    """The first lines of the program's log; none before it has started."""
    try:
        return ports.compute.log(execution.execution, limit=MAX_LINES)
    except NotFound:
        return kept_log(ports, execution)


def keep_log(ports: Ports, execution: Execution) -> None:
    """Keep the log of a run whose folder is about to go."""
    with suppress(NotFound):
        lines = ports.compute.log(execution.execution, limit=MAX_LINES)
        ports.blobs.put(_log_key(execution), "\n".join(lines).encode())


def kept_log(ports: Ports, execution: Execution) -> Sequence[str]:
    with suppress(NotFound):
        return b"".join(ports.blobs.read(_log_key(execution))).decode().splitlines()
    return ()


def _log_key(execution: Execution) -> str:
    return f"market/{execution.execution}/log"


def stop(ports: Ports, actor: Actor, execution: str, *, now: datetime) -> Execution:
    """End an execution: its consumer may, and whose asset it is. It counts as failed, unless it is over already."""
    found = get_execution(actor, execution)
    if found.is_over:
        return found
    audit.record(actor, "execution.stopped", found.execution, organisation_id=None, now=now)
    # Who leads a session sees by itself that it is to end; programs have to be told.
    waiting = Execution.objects.filter(pk=found.pk).filter(Q(state=Execution.State.PENDING) | _LED)
    if not waiting.update(state=Execution.State.FAILED, reason="it was stopped", finished_at=now):
        ports.compute.stop(found.execution)  # whoever runs it sees that, and writes it down
    found.refresh_from_db()
    return found


def _checked(ports: Ports, ticket: Ticket, joins: Session | None, now: datetime) -> Wanted:
    view = _agreement(ports, ticket, now)
    purchase, offer = _purchase(ports, ticket, view, now)
    if not view.is_provided_by(node_key(ports.secrets).address):
        raise Forbidden("this node is not a provider of the asset that was bought")
    check_terms(view, offer, ports.ledger.network())
    if not view.is_locked:
        raise Unpaid
    if view.is_window_over:
        raise WindowOver
    # The money may stay in escrow long after it was granted: what counts is the grant.
    if view.compute.state is State.FULFILLED and not _may_run_again(purchase, offer, view):
        raise Conflict("what was bought has been had: the price of this agreement was granted to its receivers")
    document, leads = _workflow(ticket, offer, view.terms.did, joins)
    if purchase.executions.filter(state__in=(Execution.State.PENDING, Execution.State.RUNNING)).exists():
        raise _already()
    return Wanted(purchase, document, leads)


def _agreement(ports: Ports, ticket: Ticket, now: datetime) -> Agreement:
    try:
        view = ports.ledger.get(id_of(ticket.agreement), now=now)
    except AgreementMissing as exc:
        raise NotFound("there is no such agreement") from exc
    if view.terms.consumer != ticket.party.name:
        raise Forbidden("this agreement is somebody else's")
    return view


def _purchase(ports: Ports, ticket: Ticket, view: Agreement, now: datetime) -> tuple[Purchase, Offer]:
    """The purchase, also where the consumer made the agreement on the ledger without us."""
    if not Purchase.objects.filter(agreement=view.id.hex()).exists():
        bought = take_up(ports, ticket.party, view.id.hex(), now=now)
    else:
        bought = get_bought(ports, SYSTEM, view.id.hex(), now=now)
    return bought.purchase, bought.offer


def _may_run_again(purchase: Purchase, offer: Offer, view: Agreement) -> bool:
    """Offers may grant several executions for one price, while the window is open."""
    had = purchase.executions.filter(state__in=_HAD[offer.release_policy]).count()
    return had < offer.executions and not view.compute.is_timed_out(view.block)


def _workflow(ticket: Ticket, offer: Offer, bought: Did, joins: Session | None) -> tuple[Document, bool]:
    """What shall run, and whether that is a session to lead."""
    if ticket.did is None:
        raise Invalid("the token names no workflow", field="did")
    wanted = ticket.did
    document = document_of(_resolved(lambda: get_asset(wanted)))
    asset = read_asset(document)
    if isinstance(asset, Coordinator):
        if offer.type != "fl-coordinator":
            raise Invalid("an fl-coordinator runs under an offer of type fl-coordinator alone", field="main.type")
        stage = led_stage_of(asset.workflow)
    elif isinstance(asset, Workflow):
        stage = stage_of(asset, offer, bought)
    else:
        raise Invalid("only a workflow or an fl-coordinator can be executed", field="main.type")
    if joins and (not stage.is_participant or offer.egress != "coordinator"):
        raise Invalid(
            "only a stage of type Participant reaches a session, and only where the offer's egress is coordinator"
        )
    container_of(stage.container, offer)
    server_of(stage.requirements, offer)
    return document, isinstance(asset, Coordinator)


def _resolved(ask: Callable[[], Asset]) -> Asset:
    try:
        return ask()
    except NotFound as exc:
        raise Invalid(f"the workflow does not resolve: {exc.message}", field="did") from exc


def _already() -> Conflict:
    return Conflict("an execution of this agreement is under way; wait for it, or stop it")
