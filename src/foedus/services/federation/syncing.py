"""Sending a node's statistics: looked at by guards and contract, then given a number and put where they wait."""

from dataclasses import dataclass, replace
from datetime import datetime

from foedus.core.federation import pulse
from foedus.core.federation.guards import GuardRules, withheld
from foedus.core.federation.messages import Kind
from foedus.core.federation.protocol import Send
from foedus.core.rounds import Reason
from foedus.core.statistics import Statistics, decode, encode
from foedus.ports import Ports
from foedus.services.federation.effects import carry_out, loaded, log, queue, removed, stored
from foedus.services.federation.membership import Seat, changing, seat_at
from foedus.services.statistics.keeping import KEEPER

SEND_ACTION = "fed_psr_contract_snd_fail_action"
RECEIVE_ACTION = "fed_psr_contract_rcv_fail_action"
BLOCK = "block"


@dataclass(frozen=True, slots=True)
class Prepared:
    """The statistics at ``version``: ``value`` may be sent, or for ``reasons`` and ``breaches`` may not (None)."""

    version: int
    value: Statistics | None
    reasons: tuple[Reason, ...] = ()
    breaches: tuple[str, ...] = ()


def tick(ports: Ports, pk: int, now: datetime, *, changed: bool = False) -> None:
    """Queue what is due. Guards are asked before the membership is locked."""
    seat = seat_at(ports, pk)
    if seat is None or not seat.node.pulsing or seat.private.certificate is None:
        return
    version = KEEPER.read(ports, seat.project).version
    _, found = pulse.due(seat.node, version, now.timestamp(), changed=changed)
    if seat.sums:  # then no node sends its statistics
        found = tuple(effect for effect in found if effect != Send(Kind.SYNC))
    if not found:
        return
    prepared = prepare(seat) if Send(Kind.SYNC) in found else None
    with changing(ports, pk) as seat:
        seat.node, found = pulse.due(seat.node, version, now.timestamp(), changed=changed)
        if prepared is not None and Send(Kind.SYNC) in found:
            _put(seat, prepared, now)
        carry_out(seat, found, now)


def prepare(seat: Seat) -> Prepared:
    """The statistics as they are now, and whether they may be sent."""
    kept = KEEPER.read(seat.ports, seat.project)
    value = without_patients(kept.value)
    before = sent(seat)
    if before is not None and value == before:
        return Prepared(kept.version, value)
    breaches = tuple(str(breach) for breach in seat.contract.breaches(value))
    reasons = withheld(kept.value, before, guard_rules(seat))
    if reasons or (breaches and seat.option(SEND_ACTION, BLOCK) == BLOCK):
        return Prepared(kept.version, None, reasons, breaches)
    return Prepared(kept.version, value, (), breaches)


def guard_rules(seat: Seat) -> GuardRules:
    """HIPAA mode is on unless its key says false."""
    hipaa = seat.option("fed_enforce_hipaa_compliance", "true") != "false"
    return GuardRules() if hipaa else GuardRules().without_hipaa()


def without_patients(value: Statistics) -> Statistics:
    """Who was counted never leaves the node: keys of patients' hashes differ from server to server."""
    return replace(value, patients=None) if value.patients is not None else value


def sent(seat: Seat) -> Statistics | None:
    """What others were last sent."""
    data = loaded(seat.ports.blobs, seat.row.sent, seat.row.sent_blob)
    return decode(data, foreign=False) if data else None


def _put(seat: Seat, prepared: Prepared, now: datetime) -> None:
    for breach in prepared.breaches:
        log(seat, f"not to be sent: {breach}" if prepared.value is None else f"sent all the same: {breach}", now)
    seat.row.withheld = [[reason.code, reason.text, dict(reason.facts)] for reason in prepared.reasons]
    value = prepared.value
    if value is None:
        for reason in prepared.reasons:
            log(seat, f"withheld: {reason.text}", now)
        breaches = len(prepared.breaches)
        seat.node = pulse.sync_withheld(seat.node, prepared.version, now.timestamp(), breaches)
        value = sent(seat) if seat.node.sync_seq else None
        if value is None:
            return
        _queue_sync(seat, value, now)  # what others were sent may be sent again
        return
    _queue_sync(seat, value, now)
    seat.node = pulse.sync_sent(seat.node, prepared.version, now.timestamp())
    seat.node = replace(seat.node, send_breaches=seat.node.send_breaches + len(prepared.breaches))
    before = seat.row.sent_blob
    data = encode(value)
    seat.row.sent, seat.row.sent_blob = stored(seat.ports, f"parts/{seat.project.key}/sent-{seat.node.seq}", data)
    removed(seat.ports, before)
    log(seat, f"sent {value.rows} rows x {len(value.columns)} attributes", now, error=False)


def _queue_sync(seat: Seat, value: Statistics, now: datetime) -> None:
    body = {"rows": value.rows, "schema": value.schema.fingerprint}
    queue(seat, Kind.SYNC, body, now, encode(value))
