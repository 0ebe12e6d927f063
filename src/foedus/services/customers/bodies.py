"""Bodies that only the customer and this server read: authenticated by default, in the old way for legacy customers.

The authenticated form is ``{"v":2,"kid":...,"nonce":...,"ct":...}``: AES-256-GCM under a key derived from the
customer's secret by HKDF-SHA-256; a random nonce; what is authenticated besides are direction, verb, path and customer.
The old form is Base64 of AES-128-CBC with a constant initial vector under the secret itself: equal beginnings look
equal and changes go unnoticed, so that it is for those alone who cannot do better yet.
"""

import base64
import binascii
import os
from enum import StrEnum
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from foedus.core.codecs import strict_json
from foedus.core.errors import Invalid
from foedus.services.customers.keys import Key
from foedus.services.customers.requests import Caller
from foedus.services.shell.sealing import NONCE_BYTES, derived

LEGACY_IV = base64.b64decode("LzM5QUtXZXWHm7HJ4wAePg==")
BLOCK_BITS = 128
_MAX_DEPTH = 40


class BadSeal(Invalid):
    """The sealed body cannot be opened: its key, its place or its bytes are wrong"""


class NotSealed(Invalid):
    """This call takes a sealed body only"""


class Direction(StrEnum):
    REQUEST = "request"
    ANSWER = "answer"


def seal_body(key: Key, plain: bytes, direction: Direction, verb: str, path: str, cid: str) -> dict[str, Any]:
    """The authenticated form, as a JSON object."""
    nonce = os.urandom(NONCE_BYTES)
    sealed = _cipher(key).encrypt(nonce, plain, _about(direction, verb, path, cid))
    return {"v": 2, "kid": key.kid, "nonce": _text(nonce), "ct": _text(sealed)}


def is_sealed(value: Any) -> bool:
    """Whether a JSON value is the authenticated form, or looks like it."""
    return isinstance(value, dict) and value.keys() == {"v", "kid", "nonce", "ct"} and value["v"] == 2


def open_body(caller: Caller, sealed: dict[str, Any], direction: Direction, verb: str, path: str) -> bytes:
    """What ``seal_body`` was given. Raises BadSeal, whatever the reason."""
    about = _about(direction, verb, path, caller.customer.cid)
    for key in caller.keys:
        if key.kid == sealed["kid"]:
            try:
                return _cipher(key).decrypt(_bytes(sealed["nonce"], NONCE_BYTES), _bytes(sealed["ct"]), about)
            except (InvalidTag, ValueError):
                break
    raise BadSeal


def open_secret_body(caller: Caller, body: bytes, verb: str, path: str) -> Any:
    """The JSON value of a call whose body has to be sealed, in either form. Raises NotSealed, BadSeal."""
    text = body.strip()
    if text.startswith(b"{"):
        value = strict_json.parse(text, max_depth=_MAX_DEPTH)
        if not is_sealed(value):
            raise NotSealed
        return _json(open_body(caller, value, Direction.REQUEST, verb, path))
    if not caller.customer.legacy:
        raise NotSealed("only customers marked legacy may send the old form; send {v, kid, nonce, ct}")
    for key in caller.keys:
        try:
            return _json(open_legacy(key.secret.reveal(), text))
        except Invalid:
            continue
    raise BadSeal


def seal_answer(caller: Caller, plain: bytes, verb: str, path: str) -> str | dict[str, Any]:
    """A secret answer in the form that the customer reads."""
    key = caller.keys[0]
    if caller.customer.legacy:
        return seal_legacy(key.secret.reveal(), plain)
    return seal_body(key, plain, Direction.ANSWER, verb, path, caller.customer.cid)


def seal_legacy(secret: str, plain: bytes) -> str:
    """The old form under ``secret``, 16 bytes in Base64."""
    pad = PKCS7(BLOCK_BITS).padder()
    encryptor = Cipher(AES(base64.b64decode(secret)), CBC(LEGACY_IV)).encryptor()
    return _text(encryptor.update(pad.update(plain) + pad.finalize()) + encryptor.finalize())


def open_legacy(secret: str, text: bytes) -> bytes:
    """What ``seal_legacy`` was given. Raises BadSeal."""
    data = _bytes(text.decode("ascii", errors="replace"))
    try:
        decryptor = Cipher(AES(base64.b64decode(secret)), CBC(LEGACY_IV)).decryptor()
        plain = decryptor.update(data) + decryptor.finalize()
        unpad = PKCS7(BLOCK_BITS).unpadder()
        return unpad.update(plain) + unpad.finalize()
    except ValueError:
        raise BadSeal from None


def _cipher(key: Key) -> AESGCM:
    return AESGCM(derived(base64.b64decode(key.secret.reveal()), "foedus symetryml body v2"))


def _about(direction: Direction, verb: str, path: str, cid: str) -> bytes:
    return f"{direction}\n{verb.upper()}\n{path}\n{cid}".encode()


def _json(plain: bytes) -> Any:
    try:
        return strict_json.parse(plain, max_depth=_MAX_DEPTH)
    except Invalid:
        raise BadSeal from None


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: Any, length: int | None = None) -> bytes:
    try:
        data = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except (binascii.Error, ValueError):
        raise BadSeal from None
    if not data or (length is not None and len(data) != length):
        raise BadSeal
    return data
