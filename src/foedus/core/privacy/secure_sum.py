"""A sum of which everybody learns the whole and nobody a part, though peers drop out and others lie.

Each peer adds to its numbers a mask of its own and one with each other peer, which that one subtracts:

    y[u] = x[u] + own[u] + sum over v > u of pair[u,v] - sum over v < u of pair[v,u]      modulo 2**64

Seeds of own masks, and keys of pairs, are shared among all, so that ``threshold`` of them can open either. Of a peer
whose numbers came they open the own mask; of one whose numbers did not, the key, to take its part out of the others'.
Never both: who is who is settled by signatures of ``threshold`` peers over the same set, of which no two can exist.

    peer = Peer(session, name, identity, crypto)      # every message goes to everybody: board.take(message)
    peer.advert()  peer.share(those)  peer.mask(those, words)  peer.confirm(those)  peer.reveal()  peer.total()

``those`` are whose messages of the stage before came; whoever runs the sum says so, and need not be trusted.
Source: Bonawitz et al., Practical Secure Aggregation for Privacy-Preserving Machine Learning, CCS 2017, Figure 4.
"""

import json
from collections.abc import Collection, Mapping
from typing import Protocol, Self

import numpy as np

from foedus.core.errors import Conflict, Invalid
from foedus.core.privacy.fixed_point import Words
from foedus.core.privacy.shamir import SHARE_BYTES, shares_of
from foedus.core.privacy.sum_board import Board
from foedus.core.privacy.sum_masks import (
    SEED_BYTES,
    Primitives,
    add_pair,
    as_bytes,
    as_number,
    own_key,
    seed_hash,
    share_hashes,
)
from foedus.core.privacy.sum_opening import total
from foedus.core.privacy.sum_session import (
    Advert,
    Confirm,
    Content,
    Dealt,
    Masked,
    Message,
    Reveal,
    Session,
    Shares,
    Stage,
    signed_text,
)


class Identity(Protocol):
    def sign(self, text: bytes) -> bytes: ...

    def verify(self, peer: str, text: bytes, signature: bytes) -> bool: ...


Party = tuple[Session, str, Identity, Primitives]


class Peer:
    """One peer in one session. Every step is taken once; a peer that lost its state drops out and never begins anew."""

    def __init__(self, session: Session, name: str, identity: Identity, crypto: Primitives) -> None:
        if name not in session:
            raise Invalid("who is not among the peers of a secure sum has no part in it")
        self.session, self.name = session, name
        self.board = Board(session, identity.verify)
        self._identity, self._crypto = identity, crypto
        self._sealing, self._masking, self._own = (self._seed() for _ in range(3))
        self._done: set[Stage] = set()
        self._sharers: frozenset[str] = frozenset()  # to whom this peer dealt shares
        self._maskers: frozenset[str] = frozenset()  # with whom it has masks
        self._summed: frozenset[str] = frozenset()  # whose numbers it confirmed
        self._held: dict[str, tuple[int, int]] = {}  # shares of others: of the own mask's seed, of the masking key

    def advert(self) -> Message:
        self._step(Stage.ADVERT)
        public = self._crypto.public_key
        return self._message(Stage.ADVERT, Advert(public(self._sealing), public(self._masking)))

    def share(self, among: Collection[str]) -> Message:
        """Deal shares to those whose adverts came. Raises Conflict when these are too few."""
        adverts = self.board.of(Advert)
        self._sharers = self._enough(among, adverts)
        self._step(Stage.SHARES)
        holders = sorted(self.session.holder(peer) for peer in self._sharers)
        own, masking = (
            shares_of(as_number(secret), self.session.threshold, holders, self._crypto.entropy)
            for secret in (self._own, self._masking)
        )
        dealt = {}
        for peer in sorted(self._sharers):
            k = self.session.holder(peer)
            pair = (own[k], masking[k])
            hashes = share_hashes(self.session, self.name, k, pair)
            sealed = self._crypto.seal(self._sealing_key(adverts[peer], self.name, peer), b"".join(map(as_bytes, pair)))
            dealt[k] = Dealt(*hashes, sealed)
        return self._message(Stage.SHARES, Shares(seed_hash(self.session, self.name, self._own), dealt))

    def mask(self, among: Collection[str], words: Words) -> Message:
        """The numbers, masked with those whose shares came."""
        shares = self.board.of(Shares)
        maskers = self._enough(among, shares)
        if not maskers <= self._sharers:
            raise Conflict("those who mask numbers are among those who got shares")
        if words.shape != (self.session.words,) or words.dtype != np.uint64:
            raise Invalid("a peer adds as many numbers as were agreed on", words=self.session.words)
        self._step(Stage.MASKED)
        self._maskers = maskers
        self._held = {dealer: pair for dealer in maskers if (pair := self._opened(dealer, shares[dealer]))}
        masked = words + self._crypto.stream(own_key(self.session, self._own), self.session.words)
        adverts = self.board.of(Advert)
        for peer in maskers - {self.name}:
            add_pair(self.session, self._crypto, masked, self._masking, (self.name, peer, adverts[peer].masking))
        return self._message(Stage.MASKED, Masked(maskers, masked.astype("<u8").tobytes()))

    def confirm(self, among: Collection[str]) -> Message:
        """Sign that the sum is of those whose masked numbers came."""
        summed = self._enough(among, self.board.of(Masked))
        if not summed <= self._maskers:
            raise Conflict("numbers that are masked otherwise than this peer's cannot be added to them")
        self._step(Stage.CONFIRM)
        self._summed = summed
        return self._message(Stage.CONFIRM, Confirm(summed))

    def reveal(self) -> Message:
        """Open shares, once enough peers confirmed the same set. Raises Conflict before."""
        confirmed = self.board.of(Confirm)
        agreeing = sum(confirmed[peer].peers == self._summed for peer in self._summed if peer in confirmed)
        if not self._summed or agreeing < self.session.threshold:
            raise Conflict("too few peers have confirmed whose numbers are added; none is unmasked", agreeing=agreeing)
        self._step(Stage.REVEAL)
        opened = {
            self.session.holder(dealer): pair[0] if dealer in self._summed else pair[1]
            for dealer, pair in self._held.items()
        }
        return self._message(Stage.REVEAL, Reveal(self._summed, opened))

    def secrets(self) -> bytes:
        """What it has besides messages, for ``resumed``: to be sealed, and committed with the message of its latest
        step. Whoever resumes from older secrets may take a step twice, and so open both shares of one peer.
        """
        sets = [sorted(each) for each in (self._sharers, self._maskers, self._summed)]
        held = {peer: [f"{share:x}" for share in pair] for peer, pair in self._held.items()}
        seeds = [seed.hex() for seed in (self._sealing, self._masking, self._own)]
        return json.dumps({"seeds": seeds, "done": sorted(self._done), "sets": sets, "held": held}).encode()

    @classmethod
    def resumed(cls, party: Party, secrets: bytes) -> Self:
        """As it was when it told its ``secrets``, with an empty board: its own messages belong there as well."""
        peer, kept = cls(*party), json.loads(secrets)
        peer._sealing, peer._masking, peer._own = (bytes.fromhex(seed) for seed in kept["seeds"])
        peer._sharers, peer._maskers, peer._summed = (frozenset(names) for names in kept["sets"])
        peer._done = {Stage(stage) for stage in kept["done"]}
        peer._held = {name: (int(own, 16), int(masking, 16)) for name, (own, masking) in kept["held"].items()}
        return peer

    def total(self) -> Words:
        """The sum, from everybody's messages; see ``total``."""
        return total(self.session, self.board, self._crypto)

    def _enough(self, among: Collection[str], there: Mapping[str, Content]) -> frozenset[str]:
        chosen = frozenset(among)
        missing = sorted(chosen - there.keys())
        if missing:
            raise Conflict("messages of a secure sum have not come yet", of=missing[:5])
        if self.name not in chosen:
            raise Conflict("the sum goes on without this peer")
        if len(chosen) < self.session.threshold:
            raise Conflict("too few peers are left for a secure sum", left=len(chosen), needed=self.session.threshold)
        return chosen

    def _step(self, stage: Stage) -> None:
        before = list(Stage)[: list(Stage).index(stage)]
        if stage in self._done or not self._done.issuperset(before):
            raise Conflict("each step of a secure sum is taken once, and in order", step=stage.value)
        self._done.add(stage)

    def _message(self, stage: Stage, content: Content) -> Message:
        body = content.encode(self.session)
        message = Message(
            stage, self.name, body, self._identity.sign(signed_text(self.session, stage, self.name, body))
        )
        self.board.take(message)
        return message

    def _opened(self, dealer: str, shares: Shares) -> tuple[int, int] | None:
        """What ``dealer`` dealt this peer; None when that is not what its hashes say, which costs the dealer alone."""
        k = self.session.holder(self.name)
        dealt = shares.dealt.get(k)
        if dealt is None:
            return None
        advert = self.board.of(Advert)[dealer]
        try:
            text = self._crypto.unseal(self._sealing_key(advert, dealer, self.name), dealt.sealed)
        except Invalid:
            return None
        if len(text) != 2 * SHARE_BYTES:
            return None
        pair = (as_number(text[:SHARE_BYTES]), as_number(text[SHARE_BYTES:]))
        return pair if share_hashes(self.session, dealer, k, pair) == (dealt.own, dealt.masking) else None

    def _sealing_key(self, advert: Advert, dealer: str, holder: str) -> bytes:
        return self._crypto.agree(self._sealing, advert.sealing, self.session.context("seal", dealer, holder))

    def _seed(self) -> bytes:
        return self._crypto.entropy(SEED_BYTES) + b"\0"
