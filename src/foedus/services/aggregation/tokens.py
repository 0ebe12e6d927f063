"""The one token a user: derived from a secret of the server, so that it can be told again and nothing secret is kept.

It is an ordinary credential: revoking that makes the next call derive another token.
"""

import hashlib
import hmac
from datetime import datetime

from django.db import transaction

from foedus.core.errors import Unauthenticated
from foedus.ports import Ports
from foedus.records.accounts.models import Credential, User
from foedus.services.accounts.credentials import authenticate, hashed
from foedus.services.shell.authorisation import Kind

NAME = "fma token"
HEX_DIGITS = 40
_SECRET = "fma-token-key"  # noqa: S105 - a secret's name


def token_of(ports: Ports, user: User, *, now: datetime) -> str:
    """The user's token: the same each time until it is revoked."""
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)
        mine = Credential.objects.filter(user=user, name=NAME)
        token = _derived(ports, user, mine.filter(revoked_at__isnull=False).count())
        if not mine.filter(token_hash=hashed(token)).exists():
            Credential.objects.create(token_hash=hashed(token), name=NAME, user=user, created_at=now)
    return token


def renew_token(ports: Ports, user: User, *, now: datetime) -> str:
    """Another token; the present one opens nothing any more."""
    with transaction.atomic():
        Credential.objects.filter(user=user, name=NAME, revoked_at=None).update(revoked_at=now)
        return token_of(ports, user, now=now)


def user_of(token: str, *, now: datetime) -> User:
    """Who holds the token: one of these, or any other credential of a user. Raises Unauthenticated."""
    try:
        actor = authenticate(token, now=now)
    except Unauthenticated:
        raise Unauthenticated("Invalid token.") from None
    if actor.kind is not Kind.OPERATOR:
        raise Unauthenticated("Invalid token.")
    return User.objects.get(pk=actor.id)


def _derived(ports: Ports, user: User, revoked: int) -> str:
    key = ports.secrets.get_or_create(_SECRET).reveal()
    mac = hmac.new(key.encode(), f"fma token {user.pk} {revoked}".encode(), hashlib.sha256)
    return mac.hexdigest()[:HEX_DIGITS]
