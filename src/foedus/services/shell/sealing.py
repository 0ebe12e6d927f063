"""What the database keeps but must not tell: sealed with AES-256-GCM under a key that lives in the secret store.

The library that does it (6 MB) is imported with the first that is sealed or opened.
"""

import os
from typing import TYPE_CHECKING

from foedus.core.errors import Unavailable
from foedus.ports import Ports

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_NAME = "sealing-key"
NONCE_BYTES = 12
_VERSION = b"\x01"


class CannotOpen(Unavailable):
    """What was sealed cannot be opened: the key in the secret store is another one, or the bytes were changed."""


def derived(key: bytes, purpose: str, n_bytes: int = 32) -> bytes:
    """A key for one purpose, from which neither ``key`` nor the key of another purpose can be found (HKDF-SHA-256)."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(algorithm=SHA256(), length=n_bytes, salt=None, info=purpose.encode()).derive(key)


def seal(ports: Ports, plain: bytes, *, purpose: str, about: str) -> bytes:
    """``plain`` so that only this server opens it, and only as what it is ``about``, such as a row's key."""
    nonce = os.urandom(NONCE_BYTES)
    return _VERSION + nonce + _cipher(ports, purpose).encrypt(nonce, plain, about.encode())


def unseal(ports: Ports, sealed: bytes, *, purpose: str, about: str) -> bytes:
    """What ``seal`` was given. Raises CannotOpen."""
    from cryptography.exceptions import InvalidTag

    nonce, rest = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
    if sealed[:1] != _VERSION or len(nonce) < NONCE_BYTES:
        raise CannotOpen
    try:
        return _cipher(ports, purpose).decrypt(nonce, rest, about.encode())
    except InvalidTag:
        raise CannotOpen from None


def _cipher(ports: Ports, purpose: str) -> "AESGCM":
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(derived(ports.secrets.get_or_create(KEY_NAME, 32).reveal().encode(), f"foedus sealing {purpose}"))
