"""Which sums were opened: what a node remembers of that, can show to the admin, and believes of others."""

from foedus.core.federation.messages import Kind, Message
from foedus.core.federation.rosters import Block, Roster, with_block
from foedus.core.federation.sum_course import with_opened
from foedus.core.federation.sum_evidence import Evidence, Word
from foedus.core.privacy.sum_session import Session, Stage
from foedus.records.federation.models import SecureSum, SumMessage
from foedus.services.federation.membership import Seat
from foedus.services.federation.sum_messages import Signer


def remember(seat: Seat, row: SecureSum, roster: Roster, session: Session, nodes: Block) -> None:
    """The sum of these nodes was opened, or is about to be. The first that this node is in makes its block for good."""
    row.blocks = with_block(row.blocks, nodes)
    if not row.opened and seat.row.node in nodes:
        confirms = _words(seat, roster, Stage.CONFIRM)
        row.opened = Evidence.of(session, nodes, _words(seat, roster, Stage.MASKED), confirms).to_json()


def hear_of(seat: Seat, message: Message) -> None:
    """So that the admin begins no sum that others would have to refuse. Raises Invalid for evidence that is none."""
    shown = message.body.get("opened") if message.kind is Kind.OUTLINE and seat.node.is_admin else None
    row = SecureSum.objects.filter(membership=seat.row).first() if shown else None
    if row is None:
        return
    evidence = Evidence.from_json(shown)
    blocks = with_opened(row.blocks, evidence.nodes)
    if len(blocks) == len(row.blocks):  # they only grow in number; as usual it is known, and not to be verified
        return
    publics = {node: certificate.public for node, certificate in seat.private.members.items()}
    evidence.check(Signer(seat, publics).verify)
    row.blocks = blocks
    row.save(update_fields=["blocks"])


def _words(seat: Seat, roster: Roster, stage: Stage) -> dict[str, Word]:
    rows = SumMessage.objects.filter(membership=seat.row, session=roster.id, stage=stage.value)
    return {
        sender: Word(bytes.fromhex(digest), bytes(signature))
        for sender, digest, signature in rows.values_list("sender", "digest", "signature")
    }
