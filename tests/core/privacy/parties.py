"""Peers of a secure sum in one process, and a runner that loses some of them."""

import hashlib

import numpy as np

from foedus.core.privacy.secure_sum import Peer
from foedus.core.privacy.sum_session import Session, Stage, usual_threshold
from foedus.services.federation.sum_crypto import SumCrypto

CRYPTO = SumCrypto()


class Signed:
    """An identity that is worth nothing outside a test: a keyed hash that everybody can check."""

    def __init__(self, name):
        self.name = name

    def sign(self, text):
        return hashlib.blake2b(text, key=self.name.encode()).digest()

    def verify(self, peer, text, signature):
        return Signed(peer).sign(text) == signature


def session(n, *, words=8, threshold=None, about=b""):
    names = tuple(f"p{k:03}" for k in range(n))
    return Session(hashlib.sha256(about).digest(), names, threshold or usual_threshold(n), words, about)


def peers_of(agreed):
    return {name: Peer(agreed, name, Signed(name), CRYPTO) for name in agreed.peers}


def numbers_of(agreed, seed=0):
    rng = np.random.default_rng(seed)
    return {name: rng.integers(0, 2**64, agreed.words, np.uint64) for name in agreed.peers}


def plain_sum(numbers, names):
    return np.add.reduce([numbers[name] for name in names])


class Run:
    """Takes peers through the stages; ``gone`` are the peers who send nothing from a stage on."""

    def __init__(self, agreed, numbers, gone=None):
        self.peers = peers_of(agreed)
        self.numbers = numbers
        self._gone = gone or {}
        self.sent = {}

    def there(self, stage):
        """Those who did not go before this stage, or in it."""
        order = list(Stage)
        return [p for p in self.peers if p not in self._gone or order.index(self._gone[p]) > order.index(stage)]

    def stage(self, stage, act):
        messages = [act(self.peers[name]) for name in self.there(stage)]
        self.sent[stage] = messages
        for message in messages:
            for peer in self.peers.values():
                peer.board.take(message)
        return [message.sender for message in messages]

    def until(self, last):
        """Runs the stages up to ``last``; returns who sent the message of that one."""
        those = self.stage(Stage.ADVERT, Peer.advert)
        if last is not Stage.ADVERT:
            those = self.stage(Stage.SHARES, lambda p, a=those: p.share(a))
        if last not in (Stage.ADVERT, Stage.SHARES):
            those = self.stage(Stage.MASKED, lambda p, a=those: p.mask(a, self.numbers[p.name]))
        if last in (Stage.CONFIRM, Stage.REVEAL):
            self.summed = those
            those = self.stage(Stage.CONFIRM, lambda p, a=those: p.confirm(a))
        if last is Stage.REVEAL:
            those = self.stage(Stage.REVEAL, Peer.reveal)
        return those
