"""Texts sealed with a password that people tell each other, such as the invitation to a federation.

Their form is in ``foedus.core.symetryml.invitations``. The old form is AES-128 in ECB mode under the password itself,
filled up with the character ``0``.
"""

import base64
import binascii
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from cryptography.hazmat.primitives.padding import PKCS7

from foedus.core.symetryml.invitations import (
    ABOUT,
    MAX_PASSWORD,
    MIN_PASSWORD,
    BadPassword,
    CannotOpenInvitation,
    N,
    SealedText,
    stretched,
)

LEGACY_MAX_PASSWORD = 16
_N = N
_BLOCK_BITS = 128


def seal_invitation(password: str, plain: bytes) -> str:
    """``plain`` for whoever knows the password. Raises BadPassword."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise BadPassword
    salt, nonce = os.urandom(16), os.urandom(12)
    sealed = AESGCM(stretched(password, salt, _N)).encrypt(nonce, plain, ABOUT)
    return SealedText(salt, nonce, sealed, _N).written()


def open_invitation(password: str, text: str) -> bytes:
    """What ``seal_invitation`` was given. Raises CannotOpenInvitation."""
    found = SealedText.parse(text)
    try:
        return AESGCM(found.key(password)).decrypt(found.nonce, found.sealed, ABOUT)
    except (InvalidTag, ValueError):
        raise CannotOpenInvitation from None


def seal_legacy_invitation(password: str, plain: bytes) -> str:
    """The old form. Raises BadPassword."""
    pad = PKCS7(_BLOCK_BITS).padder()
    encryptor = _legacy_cipher(password).encryptor()
    return base64.b64encode(encryptor.update(pad.update(plain) + pad.finalize()) + encryptor.finalize()).decode()


def open_legacy_invitation(password: str, text: str) -> bytes:
    """What ``seal_legacy_invitation`` was given. Raises BadPassword, CannotOpenInvitation."""
    cipher = _legacy_cipher(password)
    try:
        data = base64.b64decode(text, validate=True)
        decryptor = cipher.decryptor()
        unpad = PKCS7(_BLOCK_BITS).unpadder()
        return unpad.update(decryptor.update(data) + decryptor.finalize()) + unpad.finalize()
    except (binascii.Error, ValueError):
        raise CannotOpenInvitation from None


def _legacy_cipher(password: str) -> Cipher[ECB]:
    """The password is the key; that is what the old form asks for."""
    if not 1 <= len(password) <= LEGACY_MAX_PASSWORD or not password.isascii():
        raise BadPassword(f"in the old form a password has 1 to {LEGACY_MAX_PASSWORD} ASCII characters")
    return Cipher(AES(password.ljust(LEGACY_MAX_PASSWORD, "0").encode()), ECB())  # noqa: S305 - what legacy peers read
