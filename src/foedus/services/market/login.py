"""Logging in: a party shows a grant that its key signed, and gets a token of the market's own for a while."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from foedus.core.errors import Unauthenticated
from foedus.ports import Ports
from foedus.records.market.models import Account
from foedus.services.market.parties import actor_of, party_of
from foedus.services.market.tickets import PREFIXES
from foedus.services.market.tokens import believed, issue
from foedus.services.shell.authorisation import Actor
from foedus.wallet.grants import BadGrant, read_grant

KEY_NAME = "market-login-key"
LIFE = timedelta(hours=24)
_AUDIENCE = "foedus-market"


class BadLogin(Unauthenticated):
    """The login has expired or is not valid; log in again."""


@dataclass(frozen=True, slots=True)
class Login:
    """``token`` is to be shown as a bearer token until ``expires_at``; ``user_id`` is what its ``sub`` says."""

    token: str
    user_id: str
    expires_at: datetime


def log_in(ports: Ports, assertion: str, *, now: datetime) -> Login:
    """A login for whoever signed the assertion, a grant without further claims. Raises BadGrant.

    A grant that was meant for a node is none: the node that it was shown to could log in with it.
    """
    grant = read_grant(assertion, now=now.timestamp())
    if any(prefix in grant.audience for prefix in PREFIXES):
        raise BadGrant("this grant is for a node; to log in, sign one without aud")
    actor = party_of(grant.issuer, now=now)
    account = Account.objects.get(pk=actor.id)
    expires_at = now + LIFE
    claims = {
        "sub": account.user_id,
        "iss": account.address,
        "aud": _AUDIENCE,
        "iat": int(now.timestamp()),
        "exp": int(expires_at.timestamp()),
    }
    return Login(issue(ports, KEY_NAME, claims), account.user_id, expires_at)


def logged_in(ports: Ports, token: str, *, now: datetime) -> Actor:
    """Whose login this is. Raises BadLogin unless it is one, and still good."""
    claims = believed(ports, KEY_NAME, token, now=now, otherwise=BadLogin)
    if claims["aud"] != _AUDIENCE:
        raise BadLogin
    account = Account.objects.filter(address=claims["iss"]).first()
    if account is None:
        raise BadLogin
    return actor_of(account)
