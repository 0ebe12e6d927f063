"""Messages of secure sums: kept as they come, for a node may hear of a sum's messages before it hears of the sum."""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from foedus.core.errors import Conflict, Invalid, PlatformError
from foedus.core.federation.messages import Kind, Message, text
from foedus.core.federation.outline_codec import outline_from
from foedus.core.federation.outlines import Frame, frame_of
from foedus.core.federation.rosters import OUTLINE, Roster
from foedus.core.federation.summing import length_of
from foedus.core.privacy.sum_board import Board
from foedus.core.privacy.sum_session import Message as SumWord
from foedus.core.privacy.sum_session import Session, Stage, usual_threshold
from foedus.records.federation.models import SecureSum, SumMessage
from foedus.services.federation.effects import loaded, removed, stored
from foedus.services.federation.identities import decoded, verified
from foedus.services.federation.membership import Seat

MAX_BYTES = 1 << 28  # of one message
_SAID = b"foedus secure sum message v1\n"


@dataclass(frozen=True, slots=True)
class Word:
    """What a node said in a stage of a session. ``public``: its key, as the admin certified it; ``signature``: that of
    the sum's own protocol, which outlines do not have.
    """

    sender: str
    stage: str
    session: str
    public: bytes
    content: bytes
    signature: bytes = b""

    @classmethod
    def of(cls, message: Message, public: bytes) -> "Word":
        """Raises Invalid."""
        if len(message.content) > MAX_BYTES:
            raise Invalid(f"a message of a secure sum has at most {MAX_BYTES} bytes")
        session, signature = text(message.body, "id", 64), b""
        if message.kind is Kind.OUTLINE:
            outline_from(message.content)
        else:
            signature = decoded(message.body.get("sig"), 64)
        return cls(message.sender, message.kind.value, session, public, message.content, signature)


class Signer:
    """A node's identity in secure sums. ``publics``: the keys of the others."""

    def __init__(self, seat: Seat, publics: Mapping[str, bytes]) -> None:
        self._identity = seat.private.identity
        self._publics = {**publics, seat.row.node: seat.private.identity.public}

    def sign(self, said: bytes) -> bytes:
        return self._identity.sign(_SAID + said)

    def verify(self, peer: str, said: bytes, signature: bytes) -> bool:
        return peer in self._publics and verified(self._publics[peer], signature, _SAID + said)


def roster_of(row: SecureSum | None) -> Roster | None:
    return Roster.from_json(row.roster) if row is not None and row.roster else None


def take(seat: Seat, message: Message, public: bytes) -> None:
    """Keep what came, in the caller's transaction. Raises Invalid."""
    if not seat.sums:
        raise Invalid("this node takes no secure sums: its project was made without fed_use_smpc")
    if message.kind is not Kind.SUM:
        keep(seat, Word.of(message, public))
        return
    row, _ = SecureSum.objects.get_or_create(membership=seat.row)
    roster = Roster.from_json(message.body)
    if roster.follows(roster_of(row)):
        row.roster = roster.to_json()
        row.save(update_fields=["roster"])


def want(seat: Seat) -> None:
    """Somebody asks for a sum before its time; whether it is had is the admin's affair."""
    if seat.sums and seat.node.is_admin:
        SecureSum.objects.update_or_create(membership=seat.row, defaults={"wanted": True})


def keep(seat: Seat, word: Word) -> None:
    """In place of what its sender said in this stage of an earlier session. Raises Invalid for a second, other word."""
    digest = hashlib.sha256(word.content).hexdigest()
    before = SumMessage.objects.filter(membership=seat.row, sender=word.sender, stage=word.stage).first()
    if before is not None and before.session == word.session:
        if before.digest != digest:
            raise Invalid("its sender said two different things in one secure sum")
        return
    name = f"parts/{seat.project.key}/sum-{word.sender}-{word.stage}-{word.session}"
    inline, blob = stored(seat.ports, name, word.content)
    SumMessage.objects.update_or_create(
        membership=seat.row, sender=word.sender, stage=word.stage,
        defaults={
            "session": word.session, "public": word.public, "signature": word.signature, "digest": digest,
            "data": inline, "blob": blob,
        },
    )  # fmt: skip
    if before is not None:
        removed(seat.ports, before.blob)


def heard(seat: Seat, session: str) -> dict[str, dict[str, str]]:
    """Of each stage of a session whose words came, with their digests."""
    found: dict[str, dict[str, str]] = {}
    rows = SumMessage.objects.filter(membership=seat.row, session=session)
    for stage, sender, digest in rows.values_list("stage", "sender", "digest"):
        found.setdefault(stage, {})[sender] = digest
    return found


def session_of(seat: Seat, roster: Roster) -> tuple[Session, Frame]:
    """What those in a sum agree on, which follows from their outlines. Raises Conflict, Invalid, TooLarge."""
    rows = SumMessage.objects.filter(membership=seat.row, session=roster.id, stage=OUTLINE)
    found = {row.sender: row for row in rows if roster.digests.get(row.sender) == row.digest}
    if not found.keys() >= set(roster.peers):
        raise Conflict("the outlines of a secure sum have not come yet")
    outlines = [outline_from(loaded(seat.ports.blobs, found[p].data, found[p].blob)) for p in roster.peers]
    frame = frame_of(outlines)
    about = hashlib.sha256(seat.row.federation.encode() + frame.digest).digest()
    threshold = usual_threshold(len(roster.peers))
    return Session(bytes.fromhex(roster.id), roster.peers, threshold, length_of(frame), about), frame


def signer_of(seat: Seat, roster: Roster) -> Signer:
    rows = SumMessage.objects.filter(membership=seat.row, session=roster.id)
    return Signer(seat, {sender: bytes(public) for sender, public in rows.values_list("sender", "public")})


def hear(seat: Seat, roster: Roster, board: Board, *stages: Stage) -> None:
    """Put on a board what was said in these stages. What is not as it should be counts as not said."""
    rows = SumMessage.objects.filter(membership=seat.row, session=roster.id, stage__in=[s.value for s in stages])
    for row in rows.order_by("sender"):
        body = loaded(seat.ports.blobs, row.data, row.blob)
        with suppress(PlatformError):
            board.take(SumWord(Stage(row.stage), row.sender, body, bytes(row.signature)))
