"""The cryptography of secure sums: X25519 (RFC 7748), HKDF with SHA-256 (RFC 5869), ChaCha20 and Poly1305 (RFC 8439).

Every key is derived for one use, so that nonces are zeros.
"""

import os

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from foedus.core.errors import Invalid
from foedus.core.privacy.fixed_point import Words


class SumCrypto:
    """What ``foedus.core.privacy.secure_sum`` needs and does not have."""

    def entropy(self, size: int) -> bytes:
        return os.urandom(size)

    def public_key(self, secret: bytes) -> bytes:
        return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()

    def agree(self, secret: bytes, public: bytes, context: bytes) -> bytes:
        try:
            common = X25519PrivateKey.from_private_bytes(secret).exchange(X25519PublicKey.from_public_bytes(public))
        except ValueError as exc:  # a point of small order: the key would be known to everybody
            raise Invalid("a peer's public key is none") from exc
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=context).derive(common)

    def stream(self, key: bytes, words: int) -> Words:
        stream = Cipher(ChaCha20(key, bytes(16)), mode=None).encryptor().update(bytes(8 * words))
        return np.frombuffer(stream, "<u8").astype(np.uint64, copy=False)

    def seal(self, key: bytes, text: bytes) -> bytes:
        return ChaCha20Poly1305(key).encrypt(bytes(12), text, None)

    def unseal(self, key: bytes, sealed: bytes) -> bytes:
        try:
            return ChaCha20Poly1305(key).decrypt(bytes(12), sealed, None)
        except InvalidTag as exc:
            raise Invalid("a share was not sealed for this peer") from exc
