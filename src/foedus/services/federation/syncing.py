"""Sending a node's statistics: looked at by guards and contract, then given a number and put where they wait."""

from dataclasses import dataclass, replace
from datetime import datetime

from foedus.core.federation import pulse
from foedus.core.federation.discretion import discreet
from foedus.core.federation.guards import GuardRules, withheld
from foedus.core.federation.messages import Kind
from foedus.core.federation.protocol import Send
from foedus.core.rounds import Reason
from foedus.core.statistics import Statistics, decode, encode
from foedus.ports import Ports
from foedus.records.statistics.models import Part
from foedus.services.federation.effects import carry_out, drop_part, keep_part, loaded, log, queue, removed, stored
from foedus.services.federation.membership import Seat, changing, seat_at
from foedus.services.statistics.answering import OWN
from foedus.services.statistics.keeping import KEEPER

SEND_ACTION = "fed_psr_contract_snd_fail_action"
RECEIVE_ACTION = "fed_psr_contract_rcv_fail_action"
BLOCK = "block"


@dataclass(frozen=True, slots=True)
class Prepared:
    """The statistics at ``version``: ``value`` may be sent as ``told``, or for ``reasons`` and ``breaches`` may not
    (None).
    """

    version: int
    value: Statistics | None
    told: Statistics | None = None
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
        return Prepared(kept.version, value, told(seat))
    breaches = tuple(str(breach) for breach in seat.contract.breaches(value))
    rules = guard_rules(seat)
    reasons = withheld(kept.value, before, rules)
    if reasons or (breaches and seat.option(SEND_ACTION, BLOCK) == BLOCK):
        return Prepared(kept.version, None, None, reasons, breaches)
    then = told(seat)
    both = (before, then) if before is not None and then is not None else None
    return Prepared(kept.version, value, discreet(value, both, rules.least_rows_of_a_group), (), breaches)


def guard_rules(seat: Seat) -> GuardRules:
    """HIPAA mode is on unless its key says false."""
    hipaa = seat.option("fed_enforce_hipaa_compliance", "true") != "false"
    return GuardRules() if hipaa else GuardRules().without_hipaa()


def without_patients(value: Statistics) -> Statistics:
    """Who was counted never leaves the node: keys of patients' hashes differ from server to server."""
    return replace(value, patients=None) if value.patients is not None else value


def sent(seat: Seat) -> Statistics | None:
    """This node's statistics when it last sent them; what others were told of them is ``told``."""
    data = loaded(seat.ports.blobs, seat.row.sent, seat.row.sent_blob)
    return decode(data, foreign=False) if data else None


def told(seat: Seat) -> Statistics | None:
    """What others were last sent."""
    part = Part.objects.filter(project=seat.project, source=OWN).first()
    return sent(seat) if part is None else decode(loaded(seat.ports.blobs, part.data, part.blob), foreign=False)


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
        again = told(seat) if seat.node.sync_seq else None
        if again is not None:
            _queue_sync(seat, again, now)  # what others were sent may be sent again
        return
    _queue_sync(seat, prepared.told or value, now)
    _keep_told(seat, prepared, now)
    seat.node = pulse.sync_sent(seat.node, prepared.version, now.timestamp())
    seat.node = replace(seat.node, send_breaches=seat.node.send_breaches + len(prepared.breaches))
    before = seat.row.sent_blob
    data = encode(value)
    seat.row.sent, seat.row.sent_blob = stored(seat.ports, f"parts/{seat.project.key}/sent-{seat.node.seq}", data)
    removed(seat.ports, before)
    log(seat, f"sent {value.rows} rows x {len(value.columns)} attributes", now, error=False)


def _keep_told(seat: Seat, prepared: Prepared, now: datetime) -> None:
    """Where it is less than the node's statistics, the node answers from it as all others do."""
    if prepared.told is not None and prepared.told != prepared.value:
        keep_part(seat, OWN, prepared.version, encode(prepared.told), now)
    else:
        drop_part(seat, OWN)


def _queue_sync(seat: Seat, value: Statistics, now: datetime) -> None:
    body = {"rows": value.rows, "schema": value.schema.fingerprint}
    queue(seat, Kind.SYNC, body, now, encode(value))
