"""The curve secp256k1, as ``eth_keys`` computes on it.

Its imports take a quarter of a second and several megabytes: ``keys`` imports this module when a key or a signature is
first used, so that a server whose market nobody asks starts without it.
"""

from eth_keys.datatypes import PrivateKey, Signature
from eth_keys.exceptions import BadSignature
from eth_utils.exceptions import ValidationError


def public_of(secret: bytes) -> bytes:
    """The 64 bytes of the public key, without the leading 04. Raises ValueError for what is no private key."""
    try:
        public: bytes = PrivateKey(secret).public_key.to_bytes()
    except ValidationError as exc:
        raise ValueError(str(exc)) from exc
    return public


def sign(secret: bytes, digest: bytes) -> bytes:
    """65 bytes r, s, v with v 0 or 1."""
    signature: bytes = PrivateKey(secret).sign_msg_hash(digest).to_bytes()
    return signature


def signer_of(digest: bytes, signature: bytes) -> bytes | None:
    """The address, 20 bytes, that signed ``digest``, from 65 bytes r, s, v with v 0 or 1; None if there is none."""
    try:
        address: bytes = Signature(signature).recover_public_key_from_msg_hash(digest).to_canonical_address()
    except (BadSignature, ValidationError):
        return None
    return address
