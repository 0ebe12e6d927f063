"""Logging in: a party shows a grant that its key signed, and gets a token of the market's own for a while."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import jwt

from foedus.core.errors import Unauthenticated
from foedus.ports import Ports
from foedus.records.market.models import Account
from foedus.services.market.grants import read_grant
from foedus.services.market.parties import actor_of, party_of
from foedus.services.shell.authorisation import Actor

KEY_NAME = "market-login-key"
LIFE = timedelta(hours=24)
MAX_CHARACTERS = 2_048
_ALGORITHM = "HS256"
_AUDIENCE = "foedus-market"
_OPTIONS: Any = {"verify_exp": False, "require": ["exp", "iss"]}  # the clock is the caller's


class BadLogin(Unauthenticated):
    """The login has expired or is not valid; log in again."""


@dataclass(frozen=True, slots=True)
class Login:
    """``token`` is to be shown as a bearer token until ``expires_at``; ``user_id`` is what its ``sub`` says."""

    token: str
    user_id: str
    expires_at: datetime


def log_in(ports: Ports, assertion: str, *, now: datetime) -> Login:
    """A login for whoever signed the assertion, a grant without further claims. Raises BadGrant."""
    grant = read_grant(assertion, now=now.timestamp())
    actor = party_of(grant.issuer, now=now)
    account = Account.objects.get(pk=actor.id)
    expires_at = now + LIFE
    claims: dict[str, Any] = {
        "sub": account.user_id,
        "iss": account.address,
        "aud": _AUDIENCE,
        "iat": int(now.timestamp()),
        "exp": int(expires_at.timestamp()),
    }
    return Login(jwt.encode(claims, _key(ports), _ALGORITHM), account.user_id, expires_at)


def logged_in(ports: Ports, token: str, *, now: datetime) -> Actor:
    """Whose login this is. Raises BadLogin unless it is one, and still good."""
    if len(token) > MAX_CHARACTERS:
        raise BadLogin
    try:
        claims = jwt.decode(
            token,
            _key(ports),
            [_ALGORITHM],
            audience=_AUDIENCE,
            options={"verify_exp": False, "require": ["exp", "iss"]},
        )
    except jwt.InvalidTokenError as exc:
        raise BadLogin from exc
    if claims["exp"] < now.timestamp():
        raise BadLogin
    account = Account.objects.filter(address=claims["iss"]).first()
    if account is None:
        raise BadLogin
    return actor_of(account)


def _key(ports: Ports) -> str:
    return ports.secrets.get_or_create(KEY_NAME, 48).reveal()
