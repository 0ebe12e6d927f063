"""The masks of a secure sum, and the hashes by which a wrong share is found out."""

from typing import Protocol

from foedus.core.privacy.fixed_point import Words
from foedus.core.privacy.shamir import SHARE_BYTES
from foedus.core.privacy.sum_session import Session

SEED_BYTES = 31  # below the prime of the shares


class Primitives(Protocol):
    """The cryptography, which is not the core's to have. Secrets and keys have 32 bytes."""

    def entropy(self, size: int) -> bytes: ...

    def public_key(self, secret: bytes) -> bytes: ...

    def agree(self, secret: bytes, public: bytes, context: bytes) -> bytes:
        """A key that the owners of two pairs have in common. Raises Invalid for a public key that is none."""
        ...

    def stream(self, key: bytes, words: int) -> Words:
        """Numbers that look random to who has no key."""
        ...

    def seal(self, key: bytes, text: bytes) -> bytes:
        """With a key that is used once."""
        ...

    def unseal(self, key: bytes, sealed: bytes) -> bytes:
        """Raises Invalid."""
        ...


def own_key(session: Session, seed: bytes) -> bytes:
    """The key of the mask that a peer has with nobody."""
    return session.hashed("own", seed)


def add_pair(session: Session, crypto: Primitives, numbers: Words, secret: bytes, pair: tuple[str, str, bytes]) -> None:
    """Add to ``numbers`` what the first of a pair, whose ``secret`` it is, masks its numbers with for the second, whose
    public key is given. The second adds its negative.
    """
    name, other, public = pair
    key = crypto.agree(secret, public, session.context("pair", *sorted((name, other))))
    mask = crypto.stream(key, session.words)
    if name < other:
        numbers += mask
    else:
        numbers -= mask


def seed_hash(session: Session, dealer: str, seed: bytes) -> bytes:
    return session.hashed("seed", dealer, seed)


def share_hash(session: Session, dealer: str, holder: int, share: int, *, own: bool) -> bytes:
    """Of a share of the own mask's seed, or else of the masking key. Shares are random, so that this tells nothing."""
    kind = "own" if own else "masking"
    return session.hashed("share", kind, dealer, holder.to_bytes(4, "little"), as_bytes(share))


def share_hashes(session: Session, dealer: str, holder: int, pair: tuple[int, int]) -> tuple[bytes, bytes]:
    """Of a share of either, in this order."""
    own, masking = pair
    return (
        share_hash(session, dealer, holder, own, own=True),
        share_hash(session, dealer, holder, masking, own=False),
    )


def as_number(secret: bytes) -> int:
    return int.from_bytes(secret, "little")


def as_bytes(share: int) -> bytes:
    return share.to_bytes(SHARE_BYTES, "little")
