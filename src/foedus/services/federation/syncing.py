"""Sending a node's statistics: looked at by guards and contract, then given a number and put where they wait."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db import transaction

from foedus.core.federation import pulse
from foedus.core.federation.discretion import discreet
from foedus.core.federation.guards import GuardRules, withheld
from foedus.core.federation.messages import Kind
from foedus.core.federation.protocol import Send
from foedus.core.rounds import Reason
from foedus.core.statistics import Statistics, decode, encode
from foedus.ports import Ports
from foedus.records.federation.models import Outgoing, SyncBase
from foedus.records.statistics.models import Part
from foedus.services.federation.bases import delta_of, digest_of
from foedus.services.federation.effects import (
    base_from,
    carry_out,
    drop_base,
    drop_part,
    keep_base,
    keep_part,
    loaded,
    log,
    queue,
    removed,
    stored,
)
from foedus.services.federation.membership import Seat, changing, seat_at
from foedus.services.shell.at_hand import AtHand
from foedus.services.statistics.answering import OWN
from foedus.services.statistics.at_hand import MEMORY, bytes_of
from foedus.services.statistics.keeping import KEEPER

SEND_ACTION = "fed_psr_contract_snd_fail_action"
RECEIVE_ACTION = "fed_psr_contract_rcv_fail_action"
BLOCK = "block"
_SENT: AtHand[str, Statistics] = AtHand("sent", MEMORY)  # by membership, at the number of what it sent


@dataclass(frozen=True, slots=True)
class Prepared:
    """The statistics at ``version``: ``value`` may be sent as ``told``, or for ``reasons`` and ``breaches`` may not
    (None). ``data``: what is told, as bytes; ``delta``: what changed of it since the sync with the number ``base``,
    where that will do for the others.
    """

    version: int
    value: Statistics | None
    told: Statistics | None = None
    reasons: tuple[Reason, ...] = ()
    breaches: tuple[str, ...] = ()
    data: bytes = b""
    delta: bytes | None = None
    base: int = 0


def tick(ports: Ports, pk: int, now: datetime, *, changed: bool = False) -> Seat | None:
    """Queue what is due, and give the seat as it is then. Guards are asked before the membership is locked, and anew
    whenever another process sent something meanwhile: they are asked what whoever has both learns by subtracting them.
    """
    while True:
        seat = seat_at(ports, pk)
        if seat is None or not seat.node.pulsing or seat.private.certificate is None:
            return seat
        after = _ticked(seat, now, changed=changed)
        if after is not None:
            return after


def _ticked(seat: Seat, now: datetime, *, changed: bool) -> Seat | None:
    """None where another process was faster."""
    version = KEEPER.version(seat.project)
    _, found = pulse.due(seat.node, version, now.timestamp(), changed=changed)
    if seat.sums:  # then no node sends its statistics
        found = tuple(effect for effect in found if effect != Send(Kind.SYNC))
    if not found:
        return seat
    prepared, known = packed(seat, prepare(seat)) if Send(Kind.SYNC) in found else None, seat.node.sync_seq
    with changing(seat.ports, seat.row.pk) as locked:
        if prepared is not None and locked.node.sync_seq != known:
            return None
        locked.node, found = pulse.due(locked.node, version, now.timestamp(), changed=changed)
        if prepared is not None and Send(Kind.SYNC) in found:
            _put(locked, prepared, now)
        carry_out(locked, found, now)
    return locked


def prepare(seat: Seat) -> Prepared:
    """The statistics as they are now, and whether they may be sent."""
    kept = KEEPER.read(seat.ports, seat.project)
    value = without_patients(kept.value)
    before = sent(seat)
    rules = guard_rules(seat)
    breaches = tuple(str(breach) for breach in seat.contract.breaches(value))
    is_blocked = bool(breaches) and _blocks(seat)
    again = before is not None and value == before  # what guards let go once
    if again and not is_blocked:
        return Prepared(kept.version, value, told(seat), (), breaches)
    reasons = () if again else withheld(kept.value, before, rules)
    if reasons or is_blocked:
        return Prepared(kept.version, None, None, reasons, breaches)
    then = told(seat) if rules.least_rows_of_a_group else None
    both = (before, then) if before is not None and then is not None else None
    return Prepared(kept.version, value, discreet(value, both, rules.least_rows_of_a_group), (), breaches)


def _blocks(seat: Seat) -> bool:
    """Whether statistics stay here that do not keep to the contract, which may be newer than what was sent last."""
    return seat.option(SEND_ACTION, BLOCK) == BLOCK


def packed(seat: Seat, prepared: Prepared) -> Prepared:
    """With what goes on its way of it."""
    if prepared.value is None:
        return prepared
    data = encode(prepared.told or prepared.value)
    delta = delta_of(seat, data) if pulse.may_send_delta(seat.node) else None
    return replace(prepared, data=data, delta=delta, base=seat.node.base_seq)


def guard_rules(seat: Seat) -> GuardRules:
    """HIPAA mode is on unless its key says false."""
    hipaa = seat.option("fed_enforce_hipaa_compliance", "true") != "false"
    return GuardRules() if hipaa else GuardRules().without_hipaa()


def without_patients(value: Statistics) -> Statistics:
    """Who was counted never leaves the node: keys of patients' hashes differ from server to server."""
    return replace(value, patients=None) if value.patients is not None else value


def sent(seat: Seat) -> Statistics | None:
    """This node's statistics when it last sent them; what others were told of them is ``told``."""
    at_hand = _SENT.get(seat.row.key, seat.node.sync_seq)
    if at_hand is not None:
        return at_hand
    data = loaded(seat.ports.blobs, seat.row.sent, seat.row.sent_blob)
    if not data:
        return None
    value = decode(data, foreign=False)
    _SENT.keep(seat.row.key, value, bytes_of(value), seat.node.sync_seq)
    return value


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
        if again is not None and not (_blocks(seat) and seat.contract.breaches(again)):
            _queue_sync(seat, again, encode(again), now)  # what others were sent may be sent again
            seat.node = replace(seat.node, base_seq=seat.node.seq)
        return
    how = _queue(seat, prepared, prepared.told or value, now)
    _keep_sent(seat, prepared, value, now)
    seat.node = replace(seat.node, send_breaches=seat.node.send_breaches + len(prepared.breaches))
    log(seat, f"sent {value.rows} rows x {len(value.columns)} attributes{how}", now, error=False)


def _queue(seat: Seat, prepared: Prepared, told: Statistics, now: datetime) -> str:
    """A delta where all others can do with one, else everything; says so, for the log."""
    node, data, delta = seat.node, prepared.data, prepared.delta
    if delta is None or prepared.base != node.base_seq or not pulse.may_send_delta(node):
        _queue_sync(seat, told, data, now)
        seat.node = pulse.sync_sent(seat.node, prepared.version, now.timestamp())
        return ""
    if not SyncBase.objects.filter(membership=seat.row, node=seat.row.node).exists():
        _keep_base(seat)
    queue(seat, Kind.DELTA, {**_about(told), "base": node.base_seq, "digest": digest_of(data)}, now, delta)
    seat.node = pulse.sync_sent(seat.node, prepared.version, now.timestamp(), delta=True)
    return f", {len(delta):,} bytes instead of {len(data):,}"


def _queue_sync(seat: Seat, told: Statistics, data: bytes, now: datetime) -> None:
    queue(seat, Kind.SYNC, _about(told), now, data)
    drop_base(seat, seat.row.node)
    for waiting in Outgoing.objects.filter(membership=seat.row, kind=Kind.DELTA.value).defer("data"):
        removed(seat.ports, waiting.blob)  # it would mean nothing behind this one
        waiting.delete()


def _about(told: Statistics) -> dict[str, Any]:
    return {"rows": told.rows, "schema": told.schema.fingerprint}


def _keep_base(seat: Seat) -> None:
    """Before the first delta of a sync: what others were told by it is what all its deltas are against."""
    part = Part.objects.filter(project=seat.project, source=OWN).first()
    if part is not None:
        base_from(seat, part, seat.row.node, seat.node.base_seq)
        return
    keep_base(seat, seat.row.node, seat.node.base_seq, seat.row.sent, seat.row.sent_blob)
    seat.row.sent_blob = ""


def _keep_sent(seat: Seat, prepared: Prepared, value: Statistics, now: datetime) -> None:
    """Where what was told is less than the node's statistics, the node answers from it as all others do."""
    less = prepared.told is not None and prepared.told != value
    if less:
        keep_part(seat, OWN, prepared.version, prepared.data, now)
    else:
        drop_part(seat, OWN)
    removed(seat.ports, seat.row.sent_blob)
    data = encode(value) if less else prepared.data
    seat.row.sent, seat.row.sent_blob = stored(seat.ports, f"parts/{seat.project.key}/sent-{seat.node.seq}", data)
    key, at = seat.row.key, seat.node.sync_seq
    transaction.on_commit(lambda: _SENT.keep(key, value, bytes_of(value), at))
