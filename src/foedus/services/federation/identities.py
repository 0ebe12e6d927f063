"""Who a node is: an Ed25519 key that it alone has, certified by the federation's admin, and an X25519 key for secrets.

A node's id is taken from its public key, so that no two nodes can claim one id.
"""

import base64
import binascii
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from foedus.core.federation.messages import text
from foedus.services.federation.errors import NotTrusted
from foedus.services.shell.sealing import NONCE_BYTES, derived

KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Identity:
    """The private keys of a node, 32 bytes each."""

    signing: bytes
    opening: bytes

    @classmethod
    def new(cls) -> Self:
        return cls(os.urandom(KEY_BYTES), os.urandom(KEY_BYTES))

    @property
    def public(self) -> bytes:
        return Ed25519PrivateKey.from_private_bytes(self.signing).public_key().public_bytes_raw()

    @property
    def box(self) -> bytes:
        return X25519PrivateKey.from_private_bytes(self.opening).public_key().public_bytes_raw()

    @property
    def node(self) -> str:
        return node_of(self.public)

    def sign(self, data: bytes) -> bytes:
        return Ed25519PrivateKey.from_private_bytes(self.signing).sign(data)


@dataclass(frozen=True, slots=True)
class Certificate:
    """The admin's word that a node is part of the federation."""

    federation: str
    node: str
    name: str
    public: bytes
    box: bytes
    signature: bytes = b""

    def signed(self, admin: Identity) -> "Certificate":
        signature = admin.sign(self._said())
        return Certificate(self.federation, self.node, self.name, self.public, self.box, signature)

    def check(self, federation: str, admin_key: bytes) -> None:
        """Raises NotTrusted."""
        if self.federation != federation or self.node != node_of(self.public):
            raise NotTrusted("its certificate is about another node, or another federation")
        if not verified(admin_key, self.signature, self._said()):
            raise NotTrusted("its certificate is not from the federation's admin")

    def _said(self) -> bytes:
        said = [self.federation, self.node, self.name, encoded(self.public), encoded(self.box)]
        return b"foedus federation certificate v1\n" + json.dumps(said).encode()

    def to_json(self) -> dict[str, str]:
        return {
            "federation": self.federation, "node": self.node, "name": self.name, "key": encoded(self.public),
            "box": encoded(self.box), "sig": encoded(self.signature),
        }  # fmt: skip

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Raises NotTrusted."""
        if not isinstance(value, dict):
            raise NotTrusted("it has no certificate")
        return cls(
            text(value, "federation"), text(value, "node"), text(value, "name"), decoded(value.get("key"), KEY_BYTES),
            decoded(value.get("box"), KEY_BYTES), decoded(value.get("sig"), 64),
        )  # fmt: skip


def verified(public: bytes, signature: bytes, data: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True


def node_of(public: bytes) -> str:
    """The id of the node that has this public key."""
    return hashlib.sha256(b"foedus federation node v1\n" + public).hexdigest()[:32]


def seal_for(box: bytes, plain: bytes, about: str) -> str:
    """``plain`` for whoever has the private key of ``box`` alone."""
    once = X25519PrivateKey.generate()
    key = derived(once.exchange(X25519PublicKey.from_public_bytes(box)), f"foedus federation box v1 {about}")
    nonce = os.urandom(NONCE_BYTES)
    return encoded(once.public_key().public_bytes_raw() + nonce + AESGCM(key).encrypt(nonce, plain, box))


def open_for(identity: Identity, sealed: Any, about: str) -> bytes:
    """What ``seal_for`` was given. Raises NotTrusted."""
    data = decoded(sealed)
    once, nonce, rest = data[:32], data[32 : 32 + NONCE_BYTES], data[32 + NONCE_BYTES :]
    try:
        shared = X25519PrivateKey.from_private_bytes(identity.opening).exchange(X25519PublicKey.from_public_bytes(once))
        return AESGCM(derived(shared, f"foedus federation box v1 {about}")).decrypt(nonce, rest, identity.box)
    except (InvalidTag, ValueError):
        raise NotTrusted("what was sealed for this node cannot be opened") from None


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def decoded(value: Any, length: int | None = None) -> bytes:
    """Raises NotTrusted."""
    try:
        data = base64.b64decode(value, validate=True) if isinstance(value, str) else b""
    except (binascii.Error, ValueError):
        raise NotTrusted("a key or signature is not Base64") from None
    if not data or (length is not None and len(data) != length):
        raise NotTrusted("a key or signature is of the wrong length")
    return data


def keys_for(certificates: Mapping[str, bytes], key: bytes, epoch: int) -> dict[str, str]:
    """A new federation key for each node, by its ``box``."""
    return {node: seal_for(box, key, f"epoch {epoch}") for node, box in certificates.items()}
