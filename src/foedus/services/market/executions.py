"""Executions: runs of a workflow under an agreement, from the checks before one to what became of it."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from secrets import token_hex

from django.db import IntegrityError, transaction
from django.db.models import Q

from foedus.core.errors import Conflict, Invalid, NotFound
from foedus.core.market.assets import Coordinator, Workflow, read_asset
from foedus.core.market.dids import Did
from foedus.core.market.documents import Document
from foedus.core.market.escrow import Agreement, State
from foedus.core.market.fitting import container_of, leads_sessions, led_stage_of, server_of, stage_of
from foedus.core.market.offers import COMPUTE_TYPES, Offer
from foedus.ports import Ports
from foedus.records.market.models import Execution, Purchase
from foedus.records.market.queries import get_asset
from foedus.services.market.bought import agreement_of
from foedus.services.market.catalogue import document_of
from foedus.services.market.excerpts import excerpt
from foedus.services.market.joining import Joined, sealed_session
from foedus.services.market.outcomes import is_granted
from foedus.services.market.promises import LEAD_JOB, RUN_JOB
from foedus.services.market.rights import bought_by
from foedus.services.shell import audit, jobs
from foedus.services.shell.authorisation import Actor, Verb, require

PREFIX = "nevermined-compute-"
MAX_LINES = 10_000
_NAME_BYTES = 8
_LED = Q(state="Running", led__isnull=False)
# What counts as had. Where starting is what is paid for, failing is the program's own affair.
_HAD = {
    "onSuccess": (Execution.State.SUCCEEDED,),
    "onStart": (Execution.State.SUCCEEDED, Execution.State.FAILED),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRun:
    """Run a workflow under an agreement: the asset of that DID, or the document as it is.

    ``party`` is who asks, by whatever was believed; ``joins``, the session in which the workflow takes part.
    """

    party: Actor
    agreement: str
    workflow: Did | Document | None
    joins: Joined | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to run under which agreement, all checks passed; ``leads``: whether it is a session to lead."""

    purchase: Purchase
    offer: Offer
    document: Document
    leads: bool


def start(ports: Ports, command: StartRun, *, now: datetime) -> Execution:
    """Start a run, once all checks of ``check`` have passed. Raises as that does."""
    wanted = check(ports, command, now=now)
    try:
        with transaction.atomic():
            execution = Execution.objects.create(
                execution=PREFIX + token_hex(_NAME_BYTES),
                purchase=wanted.purchase,
                did=wanted.document.did.hex,
                document=wanted.document.raw,
                consumer=command.party.name,
                joins=sealed_session(ports, command.joins) if command.joins else "",
                created_at=now,
            )
            jobs.enqueue(ports, LEAD_JOB if wanted.leads else RUN_JOB, execution.execution, now)
            audit.record(
                command.party, "execution.started", execution.execution, organisation_id=None, now=now,
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
    """The program's log; none before it has started. Until it is paid for, no more of it than telling what is wrong
    takes: a program that writes its result there and fails costs nothing.
    """
    try:
        lines = ports.compute.log(execution.execution, limit=MAX_LINES)
    except NotFound:
        lines = kept_log(ports, execution)
    return lines if is_granted(ports, execution) else excerpt(lines, is_over=execution.is_over)


def keep_log(ports: Ports, execution: Execution) -> None:
    """Keep the log of a run whose folder is about to go."""
    with suppress(NotFound):
        lines = ports.compute.log(execution.execution, limit=MAX_LINES)
        ports.blobs.put(log_key(execution), "\n".join(lines).encode())


def kept_log(ports: Ports, execution: Execution) -> Sequence[str]:
    with suppress(NotFound):
        return b"".join(ports.blobs.read(log_key(execution))).decode().splitlines()
    return ()


def log_key(execution: Execution) -> str:
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


def check(ports: Ports, command: StartRun, *, now: datetime) -> Wanted:
    """What a run needs, in the order in which the market states it; the first check that fails decides the answer.

    Raises NotFound, Forbidden, Unpaid, WindowOver, Conflict, Invalid.
    """
    purchase, offer, view = bought_by(ports, command.party, command.agreement, COMPUTE_TYPES, now=now)
    check_not_had(purchase, offer, view)
    document, leads = _workflow(command, purchase, offer)
    if purchase.executions.filter(state__in=(Execution.State.PENDING, Execution.State.RUNNING)).exists():
        raise _already()
    return Wanted(purchase, offer, document, leads)


def check_not_had(purchase: Purchase, offer: Offer, view: Agreement) -> None:
    """Raise Conflict for what was had: offers may grant several executions for one price, while the window is open.

    Whoever accepts before anything ran has had it too: the price has left its escrow, and buys no first run any more.
    """
    had = purchase.executions.filter(state__in=_HAD[offer.release_policy]).count()
    # The money may stay in escrow long after it was granted: what counts is the grant.
    if view.compute.state is State.FULFILLED and (had >= offer.executions or view.compute.is_timed_out(view.block)):
        raise Conflict("what was bought has been had: the price of this agreement was granted to its receivers")
    if had >= offer.executions:  # a ledger may take its time
        raise Conflict("what was bought has been had: the run is over, and its price not settled yet")
    if view.escrow.state is not State.UNFULFILLED and offer.executions == 1 and not _is_owed(purchase, offer):
        raise Conflict("what was bought has been had: its price was accepted, and has left the escrow")


def _is_owed(purchase: Purchase, offer: Offer) -> bool:
    """Whether starting was paid for, and then the node could not go on."""
    return offer.release_policy == "onStart" and purchase.executions.filter(state=Execution.State.ERROR).exists()


def _workflow(command: StartRun, purchase: Purchase, offer: Offer) -> tuple[Document, bool]:
    """What shall run, and whether that is a session to lead."""
    document = _document(command.workflow)
    asset = read_asset(document)
    if isinstance(asset, Coordinator):
        if not leads_sessions(offer, purchase.asset.type):
            raise Invalid("an fl-coordinator runs under an offer to lead sessions alone", field="main.type")
        stage = led_stage_of(asset.workflow)
    elif isinstance(asset, Workflow):
        stage = stage_of(asset, offer, Did(bytes.fromhex(purchase.asset.did)))
    else:
        raise Invalid("only a workflow or an fl-coordinator can be executed", field="main.type")
    if command.joins and (not stage.is_participant or offer.egress != "coordinator"):
        raise Invalid(
            "only a stage of type Participant reaches a session, and only where the offer's egress is coordinator"
        )
    container_of(stage.container, offer)
    server_of(stage.requirements, offer)
    return document, isinstance(asset, Coordinator)


def _document(workflow: Did | Document | None) -> Document:
    if isinstance(workflow, Document):
        return workflow
    if workflow is None:
        raise Invalid("the token names no workflow", field="did")
    try:
        return document_of(get_asset(workflow))
    except NotFound as exc:
        raise Invalid(f"the workflow does not resolve: {exc.message}", field="did") from exc


def _already() -> Conflict:
    return Conflict("an execution of this agreement is under way; wait for it, or stop it")
