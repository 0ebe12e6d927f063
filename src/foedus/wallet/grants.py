"""Grants: tokens that consumers sign with their own key, to ask a node for an access token or a market for a login.

JWTs (RFC 7519) with the algorithm ES256K (RFC 8812), in two variations that JWT libraries do not know: the public key
is recovered from the signature and compared with an address, and the digest may be that of a personal message.
"""

import hashlib
import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from foedus.core.codecs.strict_json import parse
from foedus.core.errors import Invalid, Unauthenticated
from foedus.core.market.fields import number, text
from foedus.wallet.keys import Key, candidates, checked_address, personal_digest

MAX_CHARACTERS = 8_000
MAX_LIFE_S = 24 * 3600.0
LEEWAY_S = 60.0
_PART = re.compile(r"[A-Za-z0-9_-]+")
_HEADER = {"alg": "ES256K", "typ": "JWT"}


class BadGrant(Unauthenticated):
    """The grant is not valid, or not valid any more."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a consumer asks for. ``issuer`` is the address whose key signed it; claims not made are empty texts."""

    issuer: str
    audience: str
    subject: str
    did: str
    execution: str
    issued_at: float
    expires_at: float


def read_grant(token: str, *, now: float) -> Grant:
    """The grant that ``token`` carries. Raises BadGrant unless its issuer signed it and it holds at ``now``.

    A grant without an end ends an hour after it was issued. One that would hold for more than a day is refused.
    """
    header, claims, signing_input, signature = _parts(token)
    if header.get("alg") != "ES256K":
        raise BadGrant("a grant is signed by the algorithm ES256K")
    try:
        issuer = checked_address(claims.get("iss"))
        issued_at = number(claims, "iat", "grant")
        expires_at = number(claims, "exp", "grant", default=issued_at + 3600)
        subject, audience, did, execution = (
            text(claims, name, "grant", default="") for name in ("sub", "aud", "did", "execution_id")
        )
    except Invalid as exc:
        raise BadGrant(exc.message) from exc
    if not any(issuer in candidates(digest, signature) for digest in _digests(signing_input, claims)):
        raise BadGrant("the grant was not signed by its issuer")
    if issued_at > now + LEEWAY_S:
        raise BadGrant("the grant was issued in the future; is a clock wrong?")
    if now > expires_at:
        raise BadGrant("the grant has expired; sign a new one")
    if expires_at - issued_at > MAX_LIFE_S:
        raise BadGrant("a grant may hold for a day at most")
    return Grant(issuer, audience, subject, did, execution, issued_at, expires_at)


def write_grant(
    key: Key, claims: Mapping[str, Any], *, now: float, life_s: float = 3600.0, personal: bool = True
) -> str:
    """A grant over ``claims`` signed by ``key``."""
    mark = {"eths": "personal"} if personal else {}
    whole = {"iss": key.address, "iat": int(now), "exp": int(now + life_s), **claims, **mark}
    signing_input = f"{_encoded(_HEADER)}.{_encoded(whole)}"
    signature = key.sign_digest(_digests(signing_input, whole)[0])[:64]
    return f"{signing_input}.{_base64(signature)}"


def _digests(signing_input: str, claims: Mapping[str, Any]) -> tuple[bytes, ...]:
    """What may have been signed. Logins of one library are personal messages without saying so."""
    personal = personal_digest(signing_input.encode())
    if claims.get("eths") == "personal":
        return (personal,)
    return hashlib.sha256(signing_input.encode()).digest(), personal


def _parts(token: str) -> tuple[Mapping[str, Any], Mapping[str, Any], str, bytes]:
    if len(token) > MAX_CHARACTERS:
        raise BadGrant(f"a grant has at most {MAX_CHARACTERS} characters")
    parts = token.split(".")
    if len(parts) != 3:
        raise BadGrant("a grant has three parts with dots between them")
    header, claims, signature = (_decoded(part) for part in parts)
    # Login tokens of later clients carry v as well; the key is recovered without it.
    if len(signature) not in (64, 65):
        raise BadGrant("a grant's signature has 64 bytes")
    return _object(header), _object(claims), f"{parts[0]}.{parts[1]}", signature[:64]


def _object(raw: bytes) -> Mapping[str, Any]:
    try:
        value = parse(raw, max_depth=4)
    except Invalid as exc:
        raise BadGrant(exc.message) from exc
    if not isinstance(value, dict):
        raise BadGrant("the parts of a grant are JSON objects")
    return value


def _decoded(part: str) -> bytes:
    if not _PART.fullmatch(part):
        raise BadGrant("the parts of a grant are written in base64url")
    try:
        return urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except NotBase64 as exc:
        raise BadGrant("the parts of a grant are written in base64url") from exc


def _encoded(value: Mapping[str, Any]) -> str:
    return _base64(json.dumps(value, separators=(",", ":")).encode())


def _base64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
