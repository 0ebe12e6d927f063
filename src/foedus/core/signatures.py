"""Signed messages: proof for a receiver that a body came from whoever shares its secret, and came just now.

    Foedus-Signature: t=1700000000,v1=5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd

``v1`` is the HMAC-SHA256 of ``t``, a dot and the body. Several ``v1`` may stand side by side while a secret changes.
"""

import hashlib
import hmac

from foedus.core.errors import Unauthenticated

MAX_HEADER_CHARACTERS = 1000


class BadSignature(Unauthenticated):
    """The signature does not fit the message, or is too old."""


def sign(secret: str, body: bytes, at: int) -> str:
    """The header for ``body`` sent at ``at``, in seconds since 1970."""
    return f"t={at},v1={_digest(secret, body, at)}"


def verify_signature(secret: str, header: str, body: bytes, now: float, tolerance_s: float = 300.0) -> None:
    """Return if ``header`` signs ``body`` and is at most ``tolerance_s`` from ``now``; raise BadSignature otherwise.

    ``body`` has to be the bytes as they arrived: parsed and written again they differ.
    """
    at, digests = _parsed(header)
    expected = _digest(secret, body, at)
    # In constant time, so that timing does not tell how much of a guess was right.
    if not any(hmac.compare_digest(expected.encode(), digest.encode()) for digest in digests):
        raise BadSignature
    if abs(now - at) > tolerance_s:
        raise BadSignature("The signature is too old, or a clock is wrong.", age_s=int(now - at))


def _digest(secret: str, body: bytes, at: int) -> str:
    return hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()


def _parsed(header: str) -> tuple[int, list[str]]:
    if len(header) > MAX_HEADER_CHARACTERS:
        raise BadSignature("The signature's header is too long.")
    pairs = [part.strip().partition("=") for part in header.split(",")]
    times = [value for name, _, value in pairs if name == "t"]
    if len(times) != 1 or not (times[0].isascii() and times[0].isdigit() and len(times[0]) <= 12):
        raise BadSignature("The signature's header has to hold one t=<seconds since 1970>.")
    return int(times[0]), [value for name, _, value in pairs if name == "v1"]
