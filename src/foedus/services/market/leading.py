"""A session that was bought: led from its first participant to the model that is published, and settled.

As with programs, every step may be taken again by another worker: the state of a session is in its row.
"""

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from secrets import token_hex
from typing import Any

import structlog
from django.db import transaction

from foedus.core.errors import Conflict, Invalid, PlatformError, Unavailable
from foedus.core.market.assets import Coordinator, read_asset
from foedus.core.market.attendance import waits_for
from foedus.core.market.dids import Did
from foedus.core.market.documents import Document
from foedus.core.market.fitting import container_of, led_stage_of, server_of
from foedus.core.market.leading import Lead, Leader, Phase, shown_phase
from foedus.core.market.offers import Offer
from foedus.core.market.sessions import Session
from foedus.ports import Ports
from foedus.ports.compute import Limits
from foedus.records.market.models import Execution, LedSession, Purchase
from foedus.records.market.queries import find_asset
from foedus.records.shell.models import Job as Promise
from foedus.services.market import catalogue
from foedus.services.market.absence import gone_of
from foedus.services.market.agreements import offer_of
from foedus.services.market.conductor import Around, Conductor
from foedus.services.market.files import OWN, Location
from foedus.services.market.outcomes import check_payable, end, pay_on_start, settle
from foedus.services.market.publishing import publish_files
from foedus.services.market.session_tokens import seed_of, token_for
from foedus.services.shell import jobs

log = structlog.get_logger()

_HOST = re.compile(r"(?:(https?)://)?([A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])")
_LEAST_PORT = 1024
_ANNOUNCE_EVERY_S = 10.0
PROTOCOL = "xain-0.8"
MASKING = "none: who led the session saw every single result"

Serve = Callable[[Conductor, Sequence[int]], AbstractContextManager[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where sessions are reached. ``serve`` answers for a conductor at the first port that is free, and gives that.

    ``host`` is what this machine is called where an offer says nothing else; a result may have ``max_bytes``.
    """

    serve: Serve
    host: str
    max_bytes: int


def lead(ports: Ports, job: Promise, place: Place, *, now: datetime) -> None:
    """A worker's job from the first participant to settlement."""
    execution = Execution.objects.select_related("purchase__asset").get(execution=job.subject)
    offer = offer_of(execution.purchase)
    if not execution.is_over:
        end(execution, *_outcome(ports, execution, offer, place, now))
    _announce(ports, execution, now)
    settle(ports, execution)
    _forget(ports, execution)
    with transaction.atomic():
        jobs.complete(job)


def session_of(execution: Execution) -> Session | None:
    """The session that the execution leads, if it leads one."""
    asset = read_asset(Document.read(execution.document.encode()))
    return asset.session if isinstance(asset, Coordinator) else None


@dataclass(frozen=True, slots=True)
class Led:
    """A session as its owner sees it; ``tokens`` by the agreement of who may take part with it.

    ``waits_for`` is a sentence, empty where it waits for nobody.
    """

    url: str | None
    state: str
    round: int
    rounds: int
    connected: int
    selected: int
    required: int
    waits_for: str
    tokens: Mapping[str, str]


def told(led: Led, execution: Execution) -> dict[str, Any]:
    """A session in the words in which it is published, without tokens."""
    return {
        "id": execution.execution,
        "url": led.url,
        "aggregatorUrl": led.url,
        "protocol": PROTOCOL,
        "state": led.state,
        "round": led.round,
        "rounds": led.rounds,
        "connected": led.connected,
        "selected": led.selected,
        "required": led.required,
    }


def shown(ports: Ports, execution: Execution, participants: Sequence[str] = ()) -> Led | None:
    """The session that the execution leads, if it leads one; with tokens for those it names, and for ``participants``.

    Raises Forbidden for participants whom the session does not allow.
    """
    session = session_of(execution)
    if session is None:
        return None
    kept = LedSession.objects.filter(execution=execution).first()
    state = Lead.from_json(kept.state) if kept else None
    wanted = dict.fromkeys([*(session.allowed_agreements or ()), *participants])
    words = {Execution.State.PENDING: "starting", Execution.State.RUNNING: shown_phase(state) if state else "starting"}
    ended = Phase.FINISHED if execution.state == Execution.State.SUCCEEDED else Phase.FAILED
    rules = Leader(session, 0.0, 0)
    return Led(
        url=kept.url or None if kept else None,
        state=words.get(Execution.State(execution.state), ended),
        round=state.round if state else 0,
        rounds=session.rounds,
        connected=state.connected if state and not execution.is_over else 0,
        selected=state.selected if state and not execution.is_over else 0,
        required=rules.required,
        waits_for=waits_for(rules, state) if state and execution.state == Execution.State.RUNNING else "",
        tokens={
            agreement: token_for(ports, execution.execution, session, agreement)
            for agreement in wanted
            if not execution.is_over
        },
    )


def _outcome(ports: Ports, execution: Execution, offer: Offer, place: Place, now: datetime) -> tuple[str, str, str]:
    """State, reason, and the DID of what was published. Raises Unavailable where it is worth trying again."""
    try:
        state = _led(ports, execution, offer, place, now)
        if state.phase is not Phase.FINISHED:
            return Execution.State.FAILED, state.reason, ""
        check_payable(ports, execution)
        return Execution.State.SUCCEEDED, "", _publish(ports, execution, state)
    except (Unavailable, Conflict):
        raise
    except PlatformError as exc:
        log.warning("execution.failed", execution=execution.execution, error=exc.code)
        return Execution.State.FAILED, exc.message, ""


def _led(ports: Ports, execution: Execution, offer: Offer, place: Place, now: datetime) -> Lead:
    rules = _rules(ports, execution, offer)
    kept = _taken(execution, rules)
    around = Around(gone=partial(gone_of, ports), on_round=_announcing(ports, execution))
    conductor = Conductor(ports, rules, kept, clock=time.time, max_bytes=place.max_bytes, around=around)
    with place.serve(conductor, _ports_for(offer, kept)) as port:
        url = url_at(offer.public_host or place.host, port)
        LedSession.objects.filter(pk=kept.pk, holder=kept.holder).update(url=url, port=port)
        begun = Execution.objects.filter(pk=execution.pk, state=Execution.State.PENDING)
        begun.update(state=Execution.State.RUNNING, started_at=now)
        execution.refresh_from_db()
        _announce(ports, execution, now)
        if offer.release_policy == "onStart":
            pay_on_start(ports, execution)
        log.info("session.led", execution=execution.execution, url=url)
        running = Execution.objects.filter(pk=execution.pk, state=Execution.State.RUNNING)
        return conductor.run(lambda: not running.exists())


def _announcing(ports: Ports, execution: Execution) -> Callable[[], None]:
    """Announce a round, unless one was announced a moment ago: each time makes a version of the document."""
    latest = time.monotonic()

    def announce() -> None:
        nonlocal latest
        if time.monotonic() - latest >= _ANNOUNCE_EVERY_S:
            latest = time.monotonic()
            _announce(ports, execution, datetime.now(UTC))

    return announce


def _announce(ports: Ports, execution: Execution, now: datetime) -> None:
    """Where the consumer wants it: say in the session's own document where it is, and how it stands or ended.

    A document in which that cannot be said is its owner's affair, and holds nothing up.
    """
    led, asset = shown(ports, execution), find_asset(Did(bytes.fromhex(execution.did)))
    session = session_of(execution)
    if led is None or session is None or not session.is_announced or asset is None or asset.is_retired:
        return
    if asset.owner == execution.consumer:
        try:
            catalogue.annotate(Did(bytes.fromhex(asset.did)), "session", told(led, execution), now=now)
        except PlatformError as exc:
            log.warning("session.not_announced", execution=execution.execution, error=exc.code)


def _rules(ports: Ports, execution: Execution, offer: Offer) -> Leader:
    asset = read_asset(Document.read(execution.document.encode()))
    assert isinstance(asset, Coordinator)  # noqa: S101 - it was checked before it was kept
    stage = led_stage_of(asset.workflow)
    container_of(stage.container, offer)
    bought = server_of(stage.requirements, offer).max_seconds or Limits().seconds
    limit = min(bought, asset.session.session_timeout_s or bought)
    return Leader(asset.session, float(limit), seed_of(ports, execution.execution))


def _taken(execution: Execution, rules: Leader) -> LedSession:
    """The row of the session, with this process as its holder from now on."""
    begun = rules.begin(time.time()).to_json()
    kept, _ = LedSession.objects.get_or_create(execution=execution, defaults={"state": begun})
    kept.holder = token_hex(16)
    kept.save(update_fields=["holder"])
    kept.refresh_from_db()
    return kept


def _ports_for(offer: Offer, kept: LedSession) -> Sequence[int]:
    """The port of before, then those of the offer, or any."""
    first, last = offer.incoming_ports or (0, 0)
    if offer.incoming_ports and first < _LEAST_PORT:
        raise Invalid(f"sessions listen on ports from {_LEAST_PORT}, not on {first}", field="incomingPorts")
    return list(dict.fromkeys(([kept.port] if kept.port else []) + list(range(first, last + 1))))


def url_at(host: str, port: int) -> str:
    """Raises Invalid for what is no name of a host."""
    found = _HOST.fullmatch(host)
    if found is None:
        raise Invalid(
            f"{host[:80]!r} is neither the name of a host nor that with http:// or https://", field="publicHost"
        )
    return f"{found[1] or 'http'}://{found[2]}:{port}"


def _publish(ports: Ports, execution: Execution, state: Lead) -> str:
    session = session_of(execution)
    assert session is not None  # noqa: S101 - it has just been led
    kept = range(len(state.past)) if session.keep_rounds else ()
    told_key = f"market/{execution.execution}/session"
    ports.blobs.put(told_key, json.dumps(_told(session, state), indent=1).encode())
    files = (
        Location("model.npy", OWN + state.weights),
        Location("session.json", OWN + told_key),
        *(Location(f"model_{n}.npy", f"{OWN}market/{execution.execution}/weights/{n}") for n in kept),
    )
    agreements = sorted({agreement for samples in state.past for agreement in samples})
    data = Purchase.objects.filter(agreement__in=agreements).order_by("pk").values_list("asset__did", flat=True)
    derived = [Did(bytes.fromhex(did)) for did in dict.fromkeys([execution.did, *data])]
    return publish_files(ports, execution, files, derived_from=derived, type="model", masking=MASKING)


def _told(session: Session, state: Lead) -> dict[str, object]:
    """What is said of a session beside its model. That single results were seen is said as well."""
    return {
        "protocol": PROTOCOL,
        "aggregator": session.aggregator,
        "rounds": len(state.past),
        "trainings": len(state.past) - 1,
        "participants": sorted({agreement for samples in state.past for agreement in samples}),
        "samples": list(state.past),
        "ignoredResults": state.ignored,
        "masking": MASKING,
    }


def _forget(ports: Ports, execution: Execution) -> None:
    """Remove single results that a session which failed has left. The newest average stays, unpublished."""
    ports.blobs.delete(*[blob.key for blob in ports.blobs.list(f"market/{execution.execution}/results/")])
