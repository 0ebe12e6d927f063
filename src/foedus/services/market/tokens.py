"""Tokens of this server's own: claims that it signs with a secret, and believes when they come back in time (JWT)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from foedus.core.errors import Unauthenticated
from foedus.ports import Ports

MAX_CHARACTERS = 4_096
_ALGORITHM = "HS256"
_KEY_BYTES = 48
_OPTIONS: Any = {"verify_exp": False, "verify_aud": False, "require": ["exp", "aud"]}  # the clock is the caller's


def issue(ports: Ports, key: str, claims: Mapping[str, Any], *, kind: str = "JWT") -> str:
    """``claims``, signed by the secret named ``key``; they say until when (``exp``) and for what (``aud``)."""
    import jwt  # weighs as much as all of Starlette: only where there is a market

    return jwt.encode(dict(claims), _secret(ports, key), _ALGORITHM, headers={"typ": kind})


def believed(
    ports: Ports, key: str, token: str, *, now: datetime, otherwise: type[Unauthenticated]
) -> Mapping[str, Any]:
    """What a token of ours claims. Raises ``otherwise`` for one that is none, or not any more."""
    import jwt

    if len(token) > MAX_CHARACTERS:
        raise otherwise
    try:
        claims: dict[str, Any] = jwt.decode(token, _secret(ports, key), [_ALGORITHM], options=_OPTIONS)
    except jwt.InvalidTokenError as exc:
        raise otherwise from exc
    if claims["exp"] < now.timestamp():
        raise otherwise
    return claims


def _secret(ports: Ports, key: str) -> str:
    return ports.secrets.get_or_create(key, _KEY_BYTES).reveal()
