"""Keys of the market's parties: secp256k1, addresses, and signatures over personal messages.

Formats: Ethereum's ``eth_sign`` (EIP-191, version 0x45) and address checksums (EIP-55).
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Self

from eth_hash.auto import keccak

from foedus.core.errors import Invalid

_PREFIX = b"\x19Ethereum Signed Message:\n"
_SIGNATURE_BYTES = 65
_ADDRESS = re.compile(r"0x([0-9a-fA-F]{40})")


def personal_digest(message: bytes, length: bytes | None = None) -> bytes:
    """What a wallet signs for ``message``: 32 bytes. ``length`` replaces the true length, as one old library does."""
    return keccak(_PREFIX + (length or str(len(message)).encode()) + message)


def checked_address(text: object) -> str:
    """The address in capitals that check it. Raises Invalid unless it is 0x and 40 digits, capitals right if mixed."""
    match = _ADDRESS.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise Invalid(f"an address is 0x and 40 hexadecimal digits, not {str(text)[:80]!r}")
    digits = match[1]
    address = with_capitals(bytes.fromhex(digits))
    if digits not in (digits.lower(), digits.upper()) and address != f"0x{digits}":
        raise Invalid(f"the capitals of the address {text} are wrong: a digit may be mistyped")
    return address


@lru_cache(maxsize=4096)  # the same parties come again and again
def with_capitals(raw: bytes) -> str:
    """An address's text: letters are capitals where the digit of the text's own hash is 8 or more (EIP-55)."""
    digits = raw.hex()
    marks = keccak(digits.encode()).hex()
    return "0x" + "".join(d.upper() if int(m, 16) >= 8 else d for d, m in zip(digits, marks[:40], strict=True))


def recover(digest: bytes, signature: bytes) -> str | None:
    """The address that signed ``digest``, from 65 bytes r, s, v (27 or 28, or 0 or 1); None if there is none."""
    if len(signature) != _SIGNATURE_BYTES:
        return None
    v = signature[64] - 27 if signature[64] >= 27 else signature[64]
    return _signer(digest, signature[:64], v)


def candidates(digest: bytes, signature: bytes) -> frozenset[str]:
    """Both addresses that 64 bytes r, s without v may come from; empty if they are no signature."""
    return frozenset(found for v in (0, 1) if (found := _signer(digest, signature, v)))


@dataclass(frozen=True, slots=True)
class Key:
    """A private key; its text never shows it. ``public_bytes`` are 64, without the leading 04."""

    secret: bytes = field(repr=False)
    public_bytes: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        from foedus.wallet import curve

        try:
            object.__setattr__(self, "public_bytes", curve.public_of(self.secret))
        except ValueError as exc:  # zero and numbers beyond the curve have none
            raise Invalid("this is no private key of secp256k1: 32 bytes, neither zero nor too large") from exc

    @classmethod
    def from_hex(cls, text: str) -> Self:
        try:
            return cls(bytes.fromhex(text.strip().removeprefix("0x")))
        except ValueError as exc:
            raise Invalid("a private key is written as 64 hexadecimal digits") from exc

    @property
    def address(self) -> str:
        return with_capitals(keccak(self.public_bytes)[-20:])

    def sign_digest(self, digest: bytes) -> bytes:
        """65 bytes r, s, v with v 27 or 28."""
        from foedus.wallet import curve

        signature = curve.sign(self.secret, digest)
        return signature[:64] + bytes([signature[64] + 27])

    def sign_message(self, message: bytes) -> bytes:
        """As a wallet signs a text it shows."""
        return self.sign_digest(personal_digest(message))


def _signer(digest: bytes, r_s: bytes, v: int) -> str | None:
    if len(r_s) != _SIGNATURE_BYTES - 1 or v not in (0, 1):
        return None
    from foedus.wallet import curve

    address = curve.signer_of(digest, r_s + bytes([v]))
    return with_capitals(address) if address else None
