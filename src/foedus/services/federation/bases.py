"""What deltas are against: the latest sync of a node, which goes on to be kept beside what has become of it.

While there are no deltas it is just what is held of the node, or what this node sent, and nothing is kept twice.
"""

import hashlib
from dataclasses import replace

from foedus.core.errors import Invalid
from foedus.core.federation import deltas
from foedus.core.federation.inspection import MAX_BYTES
from foedus.core.federation.messages import Message, text, whole
from foedus.ports.blobs import BlobMissing
from foedus.records.federation.models import SyncBase
from foedus.records.statistics.models import Part
from foedus.services.federation.effects import loaded
from foedus.services.federation.membership import Seat
from foedus.services.statistics.answering import OWN


def digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def applied(seat: Seat, message: Message) -> Message:
    """A delta as the sync that it stands for. Raises Invalid when it leads to other statistics than its sender has."""
    base = _base(seat, message.sender, whole(message.body, "base"))
    content = deltas.whole(base, message.content, MAX_BYTES)
    if digest_of(content) != text(message.body, "digest"):
        raise Invalid("it does not lead to the statistics that it says")
    return replace(message, content=content)


def delta_of(seat: Seat, data: bytes) -> bytes | None:
    """What others need who hold this node's latest sync; None where that is not worth it."""
    row: SyncBase | Part | None = SyncBase.objects.filter(membership=seat.row, node=seat.row.node).first()
    row = row or Part.objects.filter(project=seat.project, source=OWN).first()
    base = loaded(seat.ports.blobs, *((row.data, row.blob) if row is not None else (seat.row.sent, seat.row.sent_blob)))
    if not base:
        return None
    found = deltas.delta(base, data)
    return found if len(found) <= deltas.WORTH * len(data) else None


def _base(seat: Seat, node: str, seq: int) -> bytes:
    """Raises Invalid."""
    row: SyncBase | Part | None = SyncBase.objects.filter(membership=seat.row, node=node, seq=seq).first()
    row = row or Part.objects.filter(project=seat.project, source=node, version=seq).first()
    if row is None:
        raise Invalid("the statistics that it changes are not here")
    try:
        return loaded(seat.ports.blobs, row.data, row.blob)
    except BlobMissing:
        raise Invalid("the statistics that it changes were just replaced") from None
