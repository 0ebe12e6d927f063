"""Secure sums of a federation: the admin's node runs them, every node takes its steps, and all take the sum.

Each step is one transaction with the message that it makes and the secrets that go on from it, so that a sum goes on in
whatever process the node's next turn is, and no step is ever taken twice.
"""

from dataclasses import replace
from datetime import datetime

from foedus.core.errors import Conflict, PlatformError, Unavailable
from foedus.core.federation.messages import Kind
from foedus.core.federation.outline_codec import outline_bytes
from foedus.core.federation.outlines import Frame, Outline
from foedus.core.federation.rosters import OUTLINE, Roster, misfit
from foedus.core.federation.summing import to_words
from foedus.core.privacy.secure_sum import Party, Peer
from foedus.core.privacy.sum_session import Message, Stage
from foedus.core.statistics import decode, encode
from foedus.ports import Ports
from foedus.records.federation.models import SecureSum
from foedus.services.federation import sum_leading
from foedus.services.federation.effects import loaded, log, queue, removed, stored
from foedus.services.federation.identities import encoded
from foedus.services.federation.membership import Seat, changing, seat_at
from foedus.services.federation.sum_crypto import SumCrypto
from foedus.services.federation.sum_messages import Word, hear, keep, session_of, signer_of
from foedus.services.federation.sum_remembering import remember
from foedus.services.federation.sum_standing import Standing
from foedus.services.federation.sum_taking import give_up, take_sum, why_torn
from foedus.services.federation.syncing import BLOCK, SEND_ACTION
from foedus.services.shell.sealing import seal, unseal
from foedus.services.statistics.keeping import KEEPER

PURPOSE = "secure sums"
_NEEDED = {
    Stage.ADVERT: (),
    Stage.SHARES: (Stage.ADVERT,),
    Stage.MASKED: (Stage.ADVERT, Stage.SHARES),
    Stage.CONFIRM: (Stage.MASKED,),
    Stage.REVEAL: (Stage.CONFIRM,),
}


def tick(ports: Ports, pk: int, now: datetime) -> None:
    """Do what is due for the present sum, or begin the next."""
    seat = seat_at(ports, pk)
    if seat is None or not (seat.sums and seat.node.pulsing and seat.private.certificate is not None):
        return
    going = True
    while going and Standing.of(seat, now).course.anything_due:
        with changing(ports, pk) as seat:
            going = _act(seat, now)


def _act(seat: Seat, now: datetime) -> bool:
    """Whether that changed anything."""
    standing = Standing.of(seat, now)
    row, roster, course = standing.row, standing.roster, standing.course
    if course.step_due is not None and roster is not None:
        _try_step(seat, row, roster, now)
    elif course.total_due and roster is not None and take_sum(seat, row, roster, now):
        pass
    elif course.close_due and roster is not None:
        sum_leading.close(standing, roster, now)
    elif course.begin_due:
        sum_leading.begin(standing, now)
    else:
        return False
    row.save()
    return True


def _try_step(seat: Seat, row: SecureSum, roster: Roster, now: datetime) -> None:
    try:
        _step(seat, row, roster, now)
    except Unavailable:
        raise
    except PlatformError as exc:
        give_up(seat, row, roster, exc.message, now)


def _step(seat: Seat, row: SecureSum, roster: Roster, now: datetime) -> None:
    if roster.stage == OUTLINE:
        _outline(seat, row, roster, now)
        return
    stage = Stage(roster.stage)
    session, frame = session_of(seat, roster)
    peer = _peer(seat, row, (session, seat.row.node, signer_of(seat, roster), SumCrypto()), stage)
    hear(seat, roster, peer.board, *_NEEDED[stage])
    message = _said(seat, row, roster, (peer, frame))
    row.secrets = seal(seat.ports, peer.secrets(), purpose=PURPOSE, about=_about(seat, row))
    _tell(seat, row, message, now)


def _outline(seat: Seat, row: SecureSum, roster: Roster, now: datetime) -> None:
    """Tell what this node's statistics are about, and hold on to them: rows it learns meanwhile are for the next."""
    row.session, row.given_up, row.secrets = roster.id, False, None
    kept = KEEPER.read(seat.ports, seat.project)
    seat.node = replace(seat.node, version=kept.version, wanted=False)
    breaches = tuple(str(breach) for breach in seat.contract.breaches(kept.value)) if kept.value.rows else ()
    for breach in breaches:
        log(seat, f"not to be added: {breach}", now)
    seat.node = replace(seat.node, send_breaches=seat.node.send_breaches + len(breaches))
    if not kept.value.rows or (breaches and seat.option(SEND_ACTION, BLOCK) == BLOCK):
        row.given_up = True
        return
    before = row.own_blob
    row.own, row.own_blob = stored(seat.ports, f"parts/{seat.project.key}/sum-own-{roster.id}", encode(kept.value))
    removed(seat.ports, before)
    content = outline_bytes(Outline.of(kept.value))
    keep(seat, Word(seat.row.node, OUTLINE, roster.id, seat.private.identity.public, content))
    body = {"id": roster.id, **({"opened": row.opened} if row.opened else {})}
    queue(seat, Kind.OUTLINE, body, now, content)


def _peer(seat: Seat, row: SecureSum, party: Party, stage: Stage) -> Peer:
    if stage is Stage.ADVERT:
        return Peer(*party)
    if row.secrets is None:
        raise Conflict("this node has lost its part in the sum")
    return Peer.resumed(party, unseal(seat.ports, bytes(row.secrets), purpose=PURPOSE, about=_about(seat, row)))


def _about(seat: Seat, row: SecureSum) -> str:
    return f"{seat.row.key} {row.session}"


def _said(seat: Seat, row: SecureSum, roster: Roster, taking: tuple[Peer, Frame]) -> Message:
    (peer, frame), those = taking, roster.those
    match Stage(roster.stage):
        case Stage.ADVERT:
            return peer.advert()
        case Stage.SHARES:
            return peer.share(those[Stage.ADVERT])
        case Stage.MASKED:
            own = decode(loaded(seat.ports.blobs, row.own, row.own_blob), foreign=False)
            return peer.mask(those[Stage.SHARES], to_words(own, frame))
        case Stage.CONFIRM:
            torn = misfit(row.blocks, those[Stage.MASKED])
            if torn:
                raise Conflict(why_torn(seat, torn))
            return peer.confirm(those[Stage.MASKED])
        case Stage.REVEAL:
            remember(seat, row, roster, peer.session, those[Stage.MASKED])
            return peer.reveal()


def _tell(seat: Seat, row: SecureSum, message: Message, now: datetime) -> None:
    public, stage = seat.private.identity.public, message.stage.value
    keep(seat, Word(message.sender, stage, row.session, public, message.body, message.signature))
    queue(seat, Kind(stage), {"id": row.session, "sig": encoded(message.signature)}, now, message.body)
    if message.stage is Stage.MASKED:
        seat.node = replace(seat.node, sent=seat.node.sent + 1)
        log(seat, "added its statistics, masked, to a secure sum", now, error=False)
