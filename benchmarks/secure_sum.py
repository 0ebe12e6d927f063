"""What a secure sum of statistics costs: all nodes in one process, with real keys, ciphers and message lengths.

    python benchmarks/secure_sum.py                        10 nodes x 500 attributes; 100 x 100, of which 30 drop out
    python benchmarks/secure_sum.py NODES ATTRIBUTES GONE

Prints the seconds of processor that one node spends until its last message, those of taking the masks off, the bytes
that a node sends, and how far the sum is from the plain sum of the same fixed-point numbers: 0, or it fails.
"""

import sys
import time

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from foedus.core.errors import PlatformError
from foedus.core.federation.outlines import Outline, frame_of
from foedus.core.federation.summing import from_words, length_of, to_words
from foedus.core.privacy.secure_sum import Peer
from foedus.core.privacy.sum_session import Session, usual_threshold
from foedus.core.statistics import Batch, Kind, Statistics, Table
from foedus.services.federation.sum_crypto import SumCrypto

ROWS = 2_000


class Identity:
    def __init__(self, keys: dict[str, Ed25519PublicKey], own: Ed25519PrivateKey) -> None:
        self._keys, self._own = keys, own

    def sign(self, text: bytes) -> bytes:
        return self._own.sign(text)

    def verify(self, peer: str, text: bytes, signature: bytes) -> bool:
        self._keys[peer].verify(signature, text)
        return True


def node_statistics(seed: int, attributes: int) -> Statistics:
    rows = np.random.default_rng(seed).normal(size=(ROWS, attributes))
    names = tuple(f"a{k:04}" for k in range(attributes))
    return Statistics.of(Batch([Table(names, (Kind.CONTINUOUS,) * attributes, rows)]))


def measure(nodes: int, attributes: int, gone: int) -> None:
    names = tuple(f"n{k:03}" for k in range(nodes))
    some = [node_statistics(k, attributes) for k in range(3)]  # what is added does not change what it costs
    frame = frame_of([Outline.of(some[k % 3]) for k in range(nodes)])
    words = {name: to_words(some[k % 3], frame) for k, name in enumerate(names)}
    agreed = Session(frame.digest, names, usual_threshold(nodes), length_of(frame), frame.digest)
    secrets = {name: Ed25519PrivateKey.generate() for name in names}
    keys = {name: secret.public_key() for name, secret in secrets.items()}
    peers = {name: Peer(agreed, name, Identity(keys, secrets[name]), SumCrypto()) for name in names}
    onlooker = peers[names[-1]]  # its messages are taken in by all; only its own time counts

    spent, sent = 0.0, 0
    there: tuple[str, ...] = names
    stages = ("advert", "share", "mask", "confirm", "reveal")
    for stage in stages:
        if stage == "mask":
            staying = names[gone:]
        messages = []
        for name in names if stage in {"advert", "share"} else staying:
            begun = time.process_time()
            arguments = {"mask": (there, words[name]), "share": (there,), "confirm": (there,)}.get(stage, ())
            message = getattr(peers[name], stage)(*arguments)
            if name == onlooker.name:
                spent += time.process_time() - begun
                sent += len(message.body) + len(message.signature)
            messages.append(message)
        begun = time.process_time()
        for message in messages:
            onlooker.board.take(message)
        spent += time.process_time() - begun
        for peer in peers.values():
            if peer is not onlooker:
                peer.board = onlooker.board  # one copy of everybody's messages is enough
        there = tuple(message.sender for message in messages)

    begun = time.process_time()
    total = onlooker.total()
    opening = time.process_time() - begun
    plain = np.add.reduce([words[name] for name in there])
    off = int((total != plain).sum())
    rows = from_words(total, frame).statistics.rows
    print(
        f"{nodes} nodes x {attributes} attributes, {gone} gone: {spent:.2f} s a node, {opening:.2f} s to open, "
        f"{sent / 1e6:.2f} MB sent a node ({agreed.words} numbers), {rows} rows, {off} numbers off"
    )
    if off:
        raise SystemExit("the sum is not the sum")


if __name__ == "__main__":
    try:
        cases = [tuple(map(int, sys.argv[1:4]))] if sys.argv[1:] else [(10, 500, 0), (100, 100, 30)]
        for case in cases:
            measure(*case)
    except PlatformError as error:
        raise SystemExit(str(error)) from error
