"""Texts sealed with a password that people tell each other, such as the invitation to a federation.

By default scrypt makes the key, and AES-256-GCM notices changes: ``{"v":2,"kdf":"scrypt","n","r","p","salt","nonce",
"ct"}``. The old form is AES-128 in ECB mode under the password itself, filled up with the character ``0``.
"""

import base64
import binascii
import hashlib
import json
import os
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from cryptography.hazmat.primitives.padding import PKCS7

from foedus.core.codecs import strict_json
from foedus.core.errors import Invalid

MIN_PASSWORD = 10
MAX_PASSWORD = 1024
LEGACY_MAX_PASSWORD = 16
_N, _R, _P = 1 << 15, 8, 1
_MAX_MEMORY_BYTES = 160 << 20  # 128 * n * r is what scrypt takes
_MOST = {"n": 1 << 17, "r": 16, "p": 4}
_ABOUT = b"foedus invitation v2"
_BLOCK_BITS = 128


class BadPassword(Invalid):
    """A password has 10 to 1024 characters"""


class CannotOpenInvitation(Invalid):
    """The invitation cannot be opened: the password is wrong, or the text was changed"""


def seal_invitation(password: str, plain: bytes) -> str:
    """``plain`` for whoever knows the password. Raises BadPassword."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise BadPassword
    salt, nonce = os.urandom(16), os.urandom(12)
    sealed = AESGCM(_stretched(password, salt, _N, _R, _P)).encrypt(nonce, plain, _ABOUT)
    return json.dumps(
        {"v": 2, "kdf": "scrypt", "n": _N, "r": _R, "p": _P, "salt": _text(salt), "nonce": _text(nonce),
         "ct": _text(sealed)},
        separators=(",", ":"),
    )  # fmt: skip


def open_invitation(password: str, text: str) -> bytes:
    """What ``seal_invitation`` was given. Raises CannotOpenInvitation."""
    try:
        value = strict_json.parse(text.encode(), max_depth=2)
        cost = {name: _cost(value, name) for name in _MOST}
        if value["v"] != 2 or value["kdf"] != "scrypt" or len(password) > MAX_PASSWORD:
            raise CannotOpenInvitation
        salt, nonce, sealed = (base64.b64decode(value[name], validate=True) for name in ("salt", "nonce", "ct"))
        key = _stretched(password, salt, cost["n"], cost["r"], cost["p"])
        return AESGCM(key).decrypt(nonce, sealed, _ABOUT)
    except (Invalid, InvalidTag, KeyError, TypeError, ValueError, UnicodeEncodeError):
        raise CannotOpenInvitation from None


def seal_legacy_invitation(password: str, plain: bytes) -> str:
    """The old form. Raises BadPassword."""
    pad = PKCS7(_BLOCK_BITS).padder()
    encryptor = _legacy_cipher(password).encryptor()
    return _text(encryptor.update(pad.update(plain) + pad.finalize()) + encryptor.finalize())


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


def _stretched(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=_MAX_MEMORY_BYTES, dklen=32)


def _cost(value: Any, name: str) -> int:
    cost = value[name]
    if not isinstance(cost, int) or isinstance(cost, bool) or not 1 <= cost <= _MOST[name]:
        raise CannotOpenInvitation
    return cost


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
