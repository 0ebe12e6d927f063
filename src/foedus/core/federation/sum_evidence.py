"""Evidence that a secure sum was opened, for an admin who does not know of it.

It names nobody who had no part in that sum: of each node whose numbers are in it there is the signature under those
numbers, and of more than two thirds of the sum's peers that under the set of nodes. Numbers are told by their digests.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from foedus.core.errors import Invalid
from foedus.core.federation.messages import text, texts, whole
from foedus.core.federation.peers import MAX_PEERS
from foedus.core.federation.rosters import Block
from foedus.core.privacy.sum_session import Confirm, Session, Stage, signed_digest, usual_threshold

Verify = Callable[[str, bytes, bytes], bool]
_ID_CHARACTERS = 32
_DIGEST_BYTES, _SIGNATURE_BYTES = 32, 64


@dataclass(frozen=True, slots=True)
class Word:
    """What a node said in one stage: the digest of it, and its signature."""

    digest: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Evidence:
    """The sum of ``nodes`` was opened in ``session``. ``masked``: their words; ``confirms``: who signed the set."""

    session: Session
    nodes: Block
    masked: Mapping[str, Word]
    confirms: Mapping[str, bytes]

    @classmethod
    def of(cls, session: Session, nodes: Block, masked: Mapping[str, Word], confirms: Mapping[str, Word]) -> Self:
        """Of the words that came, those that count."""
        wanted = _digest_of_set(session, nodes)
        agreeing = {node: word.signature for node, word in confirms.items() if word.digest == wanted}
        return cls(session, nodes, {node: masked[node] for node in nodes if node in masked}, agreeing)

    def check(self, verify: Verify) -> None:
        """Raises Invalid unless all of it is genuine, and enough."""
        session, wanted = self.session, _digest_of_set(self.session, self.nodes)
        least = usual_threshold(len(session.peers))
        if session.threshold != least or len(self.nodes) < least or len(self.confirms) < least:
            raise Invalid("an earlier sum is claimed that too few nodes took part in, or confirmed")
        if self.masked.keys() != set(self.nodes) or not set(self.nodes) >= self.confirms.keys():
            raise Invalid("an earlier sum is claimed without the words of those who were in it")
        said = [
            *((node, Stage.MASKED, word.digest, word.signature) for node, word in self.masked.items()),
            *((node, Stage.CONFIRM, wanted, signature) for node, signature in self.confirms.items()),
        ]
        for node, stage, digest, signature in said:
            if not verify(node, signed_digest(session, stage, node, digest), signature):
                raise Invalid(f"an earlier sum is claimed in which {node[:8]} had no such part")

    def to_json(self) -> dict[str, Any]:
        session = self.session
        return {
            "id": session.id.hex(), "about": session.about.hex(), "words": session.words,
            "threshold": session.threshold, "peers": list(session.peers), "nodes": list(self.nodes),
            "masked": {node: word.digest.hex() + word.signature.hex() for node, word in self.masked.items()},
            "confirms": {node: signature.hex() for node, signature in self.confirms.items()},
        }  # fmt: skip

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Of a message's body, unchecked. Raises Invalid."""
        if not isinstance(value, dict):
            raise Invalid("an earlier sum is claimed without evidence")
        peers, nodes = (texts(value, name, MAX_PEERS, _ID_CHARACTERS) for name in ("peers", "nodes"))
        if list(nodes) != sorted(set(nodes)) or not set(peers) >= set(nodes):
            raise Invalid("an earlier sum is claimed of nodes that are not its peers, or out of order")
        session = Session(
            _bytes(value, "id", 32), peers, whole(value, "threshold"), whole(value, "words"), _bytes(value, "about", 32)
        )
        masked = {
            node: Word(said[:_DIGEST_BYTES], said[_DIGEST_BYTES:])
            for node, said in _by_node(value, "masked", _DIGEST_BYTES + _SIGNATURE_BYTES).items()
        }
        return cls(session, nodes, masked, _by_node(value, "confirms", _SIGNATURE_BYTES))


def _digest_of_set(session: Session, nodes: Block) -> bytes:
    return hashlib.sha256(Confirm(frozenset(nodes)).encode(session)).digest()


def _by_node(value: Mapping[str, Any], name: str, size: int) -> dict[str, bytes]:
    found = value.get(name)
    if not isinstance(found, dict) or len(found) > MAX_PEERS:
        raise Invalid(f"{name} is no map of at most {MAX_PEERS} nodes")
    return {node: _bytes(found, node, size) for node in found}


def _bytes(value: Mapping[str, Any], name: str, size: int) -> bytes:
    digits = text(value, name, 2 * size)
    if len(digits) != 2 * size or set(digits) - set("0123456789abcdef"):
        raise Invalid(f"{name[:40]} is not {2 * size} hexadecimal digits")
    return bytes.fromhex(digits)
