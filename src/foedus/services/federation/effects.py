"""Carrying out what the protocol decided, in the transaction that keeps the node's new state."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any
from uuid import uuid4

from django.db import transaction

from foedus.core.federation import pulse
from foedus.core.federation.messages import Kind, Message
from foedus.core.federation.protocol import Certify, Drop, Effect, Keep, Log, Rekey, Send
from foedus.core.statistics.layout import header_of
from foedus.ports import Ports
from foedus.ports.blobs import Blobs
from foedus.records.federation.models import LogLine, Outgoing, SyncBase
from foedus.records.statistics.models import Part
from foedus.services.federation.envelopes import key_id, seal_message
from foedus.services.federation.identities import Certificate, open_for
from foedus.services.federation.membership import Seat
from foedus.services.statistics.contributing import columns_of
from foedus.services.statistics.keeping import INLINE_BYTES

MAX_LINES = 2_000  # of each log
RECENT_LINES = 20  # of errors, none of which is said twice


def carry_out(seat: Seat, effects: Iterable[Effect], now: datetime) -> None:
    """Syncs are queued by who has the statistics: see ``syncing``."""
    for effect in effects:
        _CARRIERS[type(effect)](seat, effect, now)


def queue(seat: Seat, kind: Kind, body: Mapping[str, Any], now: datetime, content: bytes = b"") -> None:
    """Give a message its number and put it where it waits for the transport, in place of one of its kind."""
    seat.node = replace(seat.node, seq=seat.node.seq + 1)
    at = now.timestamp()
    message = Message(
        kind=kind, sender=seat.row.node, seq=seat.node.seq, at=at, carried_at=at, body=body, content=content
    )
    data = seal_message(seat.ring, seat.private.identity, seat.private.certificate, message)
    inline, blob = stored(seat.ports, f"outgoing/{seat.row.key}/{kind.value}-{seat.node.seq}", data)
    of = {"membership": seat.row, "kind": kind.value}
    _replace(seat.ports, Outgoing, of, {"seq": seat.node.seq, "data": inline, "blob": blob})


def _replace(ports: Ports, model: type[Outgoing | Part], of: Mapping[str, Any], row: Mapping[str, Any]) -> None:
    """Have ``row`` be the one ``of`` these, and the blob of the one before removed.

    That one may be gone meanwhile: whoever publishes a message removes it, and takes no lock for that.
    """
    same = model.objects.filter(**of)
    before = same.values_list("blob", flat=True).first()
    if before is None or not same.update(**row):
        model.objects.create(**of, **row)
    removed(ports, before or "")


def stored(ports: Ports, key: str, data: bytes) -> tuple[bytes | None, str]:
    """What goes into the row: the bytes while they are few, else the name of the blob that has them.

    The name was never another's, so that garbage of a transaction that failed can be told from what is in use.
    """
    if len(data) <= INLINE_BYTES:
        return data, ""
    name = f"{key}-{uuid4().hex}"
    ports.blobs.put(name, data)
    return None, name


def loaded(blobs: Blobs, data: bytes | memoryview | None, blob: str) -> bytes:
    return b"".join(blobs.read(blob)) if blob else bytes(data or b"")


def removed(ports: Ports, blob: str) -> None:
    """Once the present transaction is committed."""
    if blob:
        transaction.on_commit(partial(ports.blobs.delete, blob), robust=True)


def log(seat: Seat, text: str, now: datetime, *, error: bool = True) -> None:
    before = LogLine.objects.filter(membership=seat.row, error=error).order_by("-pk").values_list("pk", "text")
    same = [pk for pk, said in before[: RECENT_LINES if error else 1] if said == text[:500]]
    if same:  # somebody repeats a mistake, or several in turn: one line of each is enough
        LogLine.objects.filter(pk__in=same).delete()
    row = LogLine.objects.create(membership=seat.row, error=error, text=text[:500], at=now)
    if row.pk % 100 == 0:
        lines = LogLine.objects.filter(membership=seat.row, error=error)
        for oldest in lines.order_by("-pk").values_list("pk", flat=True)[MAX_LINES:][:1]:
            lines.filter(pk__lte=oldest).delete()


def keep_part(seat: Seat, source: str, version: int, content: bytes, now: datetime) -> None:
    """Have the project answer from these statistics too, in place of those before of this source."""
    about = header_of(content)  # no more is read: it was doubted before it got here
    inline, blob = stored(seat.ports, f"parts/{seat.project.key}/{source}-{version}", content)
    row = {
        "version": version, "digest": hashlib.sha256(content).hexdigest(), "rows": about.summaries[0].rows,
        "columns": [list(column) for column in columns_of(about.schema)], "data": inline, "blob": blob, "at": now,
    }  # fmt: skip
    _replace(seat.ports, Part, {"project": seat.project, "source": source}, row)


def keep_base(seat: Seat, node: str, seq: int, data: bytes | memoryview | None, blob: str) -> None:
    """What was held of a node, or sent by our own, is from now on what deltas are against: it is not stored anew."""
    drop_base(seat, node)
    SyncBase.objects.create(membership=seat.row, node=node, seq=seq, data=data, blob=blob)


def drop_base(seat: Seat, node: str) -> None:
    for base in SyncBase.objects.filter(membership=seat.row, node=node).defer("data"):
        removed(seat.ports, base.blob)
        base.delete()


def base_from(seat: Seat, part: Part, node: str, seq: int) -> None:
    """The same of a part, which is about to get something else."""
    keep_base(seat, node, seq, part.data, part.blob)
    Part.objects.filter(pk=part.pk).update(blob="")


def drop_part(seat: Seat, source: str) -> None:
    for part in Part.objects.filter(project=seat.project, source=source):
        removed(seat.ports, part.blob)
        part.delete()


def forget_others(seat: Seat) -> None:
    """Who is no member any more holds nothing that others told, alone or in a sum."""
    for source in list(Part.objects.filter(project=seat.project).values_list("source", flat=True)):
        drop_part(seat, source)
    for node in list(SyncBase.objects.filter(membership=seat.row).values_list("node", flat=True)):
        drop_base(seat, node)


def _keep(seat: Seat, effect: Keep, now: datetime) -> None:
    if not effect.base:
        drop_base(seat, effect.sender)
    elif part := Part.objects.filter(project=seat.project, source=effect.sender, version=effect.base).first():
        base_from(seat, part, effect.sender, effect.base)
    keep_part(seat, effect.sender, effect.seq, effect.content, now)


def _drop(seat: Seat, effect: Drop, now: datetime) -> None:  # noqa: ARG001 - as all carriers
    drop_part(seat, effect.node)
    drop_base(seat, effect.node)


def _send(seat: Seat, effect: Send, now: datetime) -> None:
    if effect.kind is Kind.SYNC:
        return
    body = pulse.heartbeat_of(seat.node, seat.name).body if effect.kind is Kind.HEARTBEAT else effect.body
    queue(seat, effect.kind, body, now)


def _log(seat: Seat, effect: Log, now: datetime) -> None:
    log(seat, effect.text, now, error=effect.error)


def _rekey(seat: Seat, effect: Rekey, now: datetime) -> None:
    epoch, keys = effect.body.get("epoch"), effect.body.get("keys")
    if not isinstance(epoch, int) or epoch <= seat.private.epoch or not isinstance(keys, dict):
        return
    if seat.row.node not in keys:
        log(seat, "the admin changed the federation's key, and gave this node none", now)
        return
    key = open_for(seat.private.identity, keys[seat.row.node], f"epoch {epoch}")
    seat.private = seat.private.with_key(key_id(key), key, epoch)
    log(seat, "the admin changed the federation's key", now, error=False)


def _certify(seat: Seat, effect: Certify, now: datetime) -> None:
    if seat.private.certificate is None and seat.row.node in effect.admitted:
        certificate = Certificate.from_json(effect.admitted[seat.row.node])
        certificate.check(seat.row.federation, seat.private.admin_key)
        if certificate.public == seat.private.identity.public:
            certified(seat, certificate, now)


def certified(seat: Seat, certificate: Certificate, now: datetime) -> None:
    """The node is a member from now on, and tells the others."""
    seat.private = replace(seat.private, certificate=certificate, token="")
    Outgoing.objects.filter(membership=seat.row, kind=Kind.JOIN.value).delete()
    queue(seat, Kind.JOIN, {"name": seat.name}, now)
    log(seat, "the admin let this node in", now, error=False)


_CARRIERS: Mapping[type, Callable[[Seat, Any, datetime], None]] = {
    Keep: _keep, Drop: _drop, Send: _send, Log: _log, Rekey: _rekey, Certify: _certify,
}  # fmt: skip
