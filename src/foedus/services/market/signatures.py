"""Signatures that older clients show instead of tokens: of a text of the call, or of a sentence, for a while.

Both are personal messages. The second is written ``0xSIGNATURE-TIME`` and signs the sentence, a new line, and the time.
"""

from collections.abc import Iterable
from datetime import datetime

from eth_hash.auto import keccak

from foedus.core.errors import Unauthenticated
from foedus.wallet.keys import checked_address, personal_digest, recover

SENTENCE = "Nevermined Protocol Authentication"
MAX_CHARACTERS = 300
_LIFE_S = 30 * 86_400.0
_LEEWAY_S = 60.0


class BadSignature(Unauthenticated):
    """The signature is not that of the address over what it has to sign, or holds no more."""


def check_signed(address: str, signature: str, texts: Iterable[str], *, now: datetime) -> str:
    """The address with its capitals. Raises BadSignature unless its key signed one of ``texts``, or the sentence."""
    wanted = checked_address(address)
    if len(signature) > MAX_CHARACTERS:
        raise BadSignature
    digits, dash, time = signature.partition("-")
    signed = _of_sentence(time, now) if dash else [personal_digest(text.encode()) for text in texts]
    try:
        raw = bytes.fromhex(digits.strip().removeprefix("0x"))
    except ValueError:
        raise BadSignature from None
    if all(recover(digest, raw) != wanted for digest in signed):
        raise BadSignature
    return wanted


def _of_sentence(time: str, now: datetime) -> list[bytes]:
    """What may have been signed: the sentence, or its hash as one library prints it."""
    at = int(time) if time.isascii() and time.isdigit() and len(time) < 12 else 0
    if not now.timestamp() - _LIFE_S <= at <= now.timestamp() + _LEEWAY_S:
        raise BadSignature("the time of the signature is over, or still to come")
    text = f"{SENTENCE}\n{time}".encode()
    return [personal_digest(text), personal_digest(repr(keccak(text)).encode(), length=b"32")]
