"""What the peers of a secure sum agree on before it begins, and how their messages are laid out."""

import hashlib
import struct
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from itertools import pairwise

from foedus.core.errors import Invalid
from foedus.core.privacy.shamir import SHARE_BYTES

MIN_PEERS = 3  # of two, each would know the other's from the sum
MAX_PEERS = 1_000
MAX_WORDS = 1 << 27  # 1 GiB
KEY_BYTES = 32
SEALED_BYTES = 2 * SHARE_BYTES + 16
_ENTRY = struct.Struct(f"<H32s32s{SEALED_BYTES}s")
_OPENED = struct.Struct(f"<H{SHARE_BYTES}s")


class Stage(StrEnum):
    """The message that a peer sends in it."""

    ADVERT = "advert"
    SHARES = "shares"
    MASKED = "masked"
    CONFIRM = "confirm"
    REVEAL = "reveal"


@dataclass(frozen=True)
class Session:
    """One sum. ``id`` is fresh for each; ``peers`` in the order of their names; ``threshold`` of them must stay until
    the end; each adds ``words`` numbers, of what ``about`` describes.
    """

    id: bytes
    peers: tuple[str, ...]
    threshold: int
    words: int
    about: bytes = b""

    def __post_init__(self) -> None:
        n = len(self.peers)
        if any(a >= b for a, b in pairwise(self.peers)) or not MIN_PEERS <= n <= MAX_PEERS:
            raise Invalid(f"a secure sum has {MIN_PEERS} to {MAX_PEERS} peers, sorted by name", peers=n)
        if not n < 2 * self.threshold <= 2 * n:  # else two halves could be told different things
            raise Invalid("more than half of the peers must stay until the end", threshold=self.threshold, peers=n)
        if not 1 <= self.words <= MAX_WORDS or len(self.id) != KEY_BYTES:
            raise Invalid(f"a secure sum has an id of {KEY_BYTES} bytes and adds 1 to {MAX_WORDS} numbers")

    @cached_property
    def digest(self) -> bytes:
        """Everything agreed on, as 32 bytes."""
        texts = [self.id, self.about, *(peer.encode() for peer in self.peers)]
        parts = [struct.pack("<III", self.threshold, self.words, len(self.peers))]
        parts += [struct.pack("<I", len(text)) + text for text in texts]
        return hashlib.sha256(b"foedus secure sum 1" + b"".join(parts)).digest()

    def holder(self, peer: str) -> int:
        """The number, from 1 on, by which a peer holds shares."""
        return self._holders[peer]

    def __contains__(self, peer: str) -> bool:
        return peer in self._holders

    @cached_property
    def _holders(self) -> dict[str, int]:
        return {peer: k for k, peer in enumerate(self.peers, start=1)}

    def context(self, *parts: bytes | str) -> bytes:
        """Bytes that belong to this session and these parts alone."""
        texts = [part.encode() if isinstance(part, str) else part for part in parts]
        return self.digest + b"".join(struct.pack("<I", len(text)) + text for text in texts)

    def hashed(self, *parts: bytes | str) -> bytes:
        return hashlib.sha256(self.context(*parts)).digest()


def usual_threshold(peers: int) -> int:
    """More than two thirds: a third may drop out, and no fewer than a third can have two different sets confirmed."""
    return 2 * peers // 3 + 1


@dataclass(frozen=True, slots=True)
class Message:
    """``signature`` is the sender's, of the message's ``signed_text``."""

    stage: Stage
    sender: str
    body: bytes
    signature: bytes


def signed_text(session: Session, stage: Stage, sender: str, body: bytes) -> bytes:
    return signed_digest(session, stage, sender, hashlib.sha256(body).digest())


def signed_digest(session: Session, stage: Stage, sender: str, digest: bytes) -> bytes:
    """The same of a body of which no more is known than its SHA-256."""
    return session.context("message", stage, sender, digest)


@dataclass(frozen=True, slots=True)
class Advert:
    """A peer's public keys: by one shares are sealed for it, by the other masks are agreed on."""

    sealing: bytes
    masking: bytes

    def encode(self, _session: Session) -> bytes:
        return self.sealing + self.masking

    @classmethod
    def decode(cls, _session: Session, body: bytes) -> "Advert":
        _must(len(body) == 2 * KEY_BYTES)
        return cls(body[:KEY_BYTES], body[KEY_BYTES:])


@dataclass(frozen=True, slots=True)
class Dealt:
    """What a dealer gives a peer: hashes of its shares of the own mask's seed and of the masking key; both, sealed."""

    own: bytes
    masking: bytes
    sealed: bytes


@dataclass(frozen=True, slots=True)
class Shares:
    """``seed`` is a hash of the own mask's seed."""

    seed: bytes
    dealt: Mapping[int, Dealt]

    def encode(self, _session: Session) -> bytes:
        entries = (_ENTRY.pack(k, d.own, d.masking, d.sealed) for k, d in sorted(self.dealt.items()))
        return self.seed + b"".join(entries)

    @classmethod
    def decode(cls, session: Session, body: bytes) -> "Shares":
        _must(len(body) >= KEY_BYTES and (len(body) - KEY_BYTES) % _ENTRY.size == 0)
        entries = list(_ENTRY.iter_unpack(body[KEY_BYTES:]))
        _must(_ascending([entry[0] for entry in entries], len(session.peers)))
        return cls(body[:KEY_BYTES], {k: Dealt(own, masking, sealed) for k, own, masking, sealed in entries})


@dataclass(frozen=True, slots=True)
class Masked:
    """Numbers, little-endian, with the masks that the sender has with each of ``peers``."""

    peers: frozenset[str]
    words: bytes

    def encode(self, session: Session) -> bytes:
        return flags(session, self.peers) + self.words

    @classmethod
    def decode(cls, session: Session, body: bytes) -> "Masked":
        head = _flag_bytes(session)
        _must(len(body) == head + 8 * session.words)
        return cls(_flagged(session, body[:head]), body[head:])


@dataclass(frozen=True, slots=True)
class Confirm:
    """Whose masked numbers a peer takes to be part of the sum."""

    peers: frozenset[str]

    def encode(self, session: Session) -> bytes:
        return flags(session, self.peers)

    @classmethod
    def decode(cls, session: Session, body: bytes) -> "Confirm":
        return cls(_flagged(session, body))


@dataclass(frozen=True, slots=True)
class Reveal:
    """Shares by dealer. Of one that is in ``peers`` it is that of the own mask's seed, else that of the masking key:
    there is no place for both.
    """

    peers: frozenset[str]
    shares: Mapping[int, int]

    def encode(self, session: Session) -> bytes:
        entries = (_OPENED.pack(k, share.to_bytes(SHARE_BYTES, "little")) for k, share in sorted(self.shares.items()))
        return flags(session, self.peers) + b"".join(entries)

    @classmethod
    def decode(cls, session: Session, body: bytes) -> "Reveal":
        head = _flag_bytes(session)
        _must(len(body) >= head and (len(body) - head) % _OPENED.size == 0)
        entries = list(_OPENED.iter_unpack(body[head:]))
        _must(_ascending([k for k, _ in entries], len(session.peers)))
        return cls(_flagged(session, body[:head]), {k: int.from_bytes(share, "little") for k, share in entries})


def flags(session: Session, peers: Collection[str]) -> bytes:
    """A set of peers, a bit for each."""
    bits = sum(1 << (session.holder(peer) - 1) for peer in peers)
    return bits.to_bytes(_flag_bytes(session), "little")


def _flag_bytes(session: Session) -> int:
    return (len(session.peers) + 7) // 8


def _flagged(session: Session, body: bytes) -> frozenset[str]:
    n = len(session.peers)
    bits = int.from_bytes(body, "little")
    _must(len(body) == _flag_bytes(session) and bits < 1 << n)
    return frozenset(peer for k, peer in enumerate(session.peers) if bits >> k & 1)


def _ascending(numbers: list[int], most: int) -> bool:
    return all(a < b for a, b in pairwise([0, *numbers])) and (not numbers or numbers[-1] <= most)


def _must(truth: bool) -> None:  # noqa: FBT001  # reads as a sentence
    if not truth:
        raise Invalid("a message of a secure sum has the wrong length or order")


Content = Advert | Shares | Masked | Confirm | Reveal
DECODERS: Mapping[Stage, Callable[[Session, bytes], Content]] = {
    Stage.ADVERT: Advert.decode,
    Stage.SHARES: Shares.decode,
    Stage.MASKED: Masked.decode,
    Stage.CONFIRM: Confirm.decode,
    Stage.REVEAL: Reveal.decode,
}
STAGES: Mapping[type[Content], Stage] = {
    Advert: Stage.ADVERT,
    Shares: Stage.SHARES,
    Masked: Stage.MASKED,
    Confirm: Stage.CONFIRM,
    Reveal: Stage.REVEAL,
}
