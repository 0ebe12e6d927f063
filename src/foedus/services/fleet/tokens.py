"""Phones' tokens: JSON Web Tokens, signed with HS256; a refresh token gives a new pair and is then used up.

An access token's ``jti`` begins with its family: all tokens that descend from one login. Ending a family, as a stolen
refresh token or an operator does, ends its access tokens too. A used refresh token still answers for a while, because
the answer that held its successor may have been lost; later its use means that somebody else has it, too.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction

from foedus.core.errors import Invalid, Unauthenticated
from foedus.ports import Ports
from foedus.records.accounts.models import User
from foedus.records.fleet.models import RefreshToken
from foedus.services.accounts.passwords import user_by_password

log = structlog.get_logger()

ACCESS_S = 30 * 86_400
REFRESH_S = 60 * 86_400
GRACE = timedelta(hours=1)  # a phone whose answer was lost asks again at its next job, 15 minutes later
KEY_NAME = "flaas-token-key"
MAX_TOKEN_CHARACTERS = 2048
_ALGORITHM = "HS256"
_CLAIMS = ("token_type", "exp", "iat", "jti", "user_id")
_FAMILY_CHARACTERS = 32


class BadToken(Unauthenticated):
    """Token is invalid or expired"""


class WrongTokenType(BadToken):
    """Token has wrong type"""


class UserNotFound(Unauthenticated):
    """User not found"""


class UserInactive(Unauthenticated):
    """User is inactive"""


class BadRefreshToken(Invalid):
    """Token is invalid or expired"""


@dataclass(frozen=True, slots=True)
class Pair:
    access: str
    refresh: str


def log_in(ports: Ports, username: str, password: str, client: str, *, now: datetime) -> Pair:
    """Tokens for a name and a password sent from the address ``client``.

    Raises Unauthenticated, alike for unknown names, wrong passwords and accounts that are not active; QuotaExceeded
    after too many of those.
    """
    user = user_by_password(username, password, client, now=now)
    if user is None:
        raise Unauthenticated("No active account found with the given credentials")
    return _issue(ports, user, secrets.token_hex(_FAMILY_CHARACTERS // 2), now)


def refresh(ports: Ports, token: str, *, now: datetime) -> Pair:
    """A new pair for a refresh token. Raises BadRefreshToken, whatever is wrong with it or its owner."""
    try:
        claims = _read(ports, token, "refresh", now)
    except BadToken as exc:
        raise BadRefreshToken(exc.message) from exc
    with transaction.atomic():
        row = RefreshToken.objects.select_for_update().select_related("user").filter(jti=claims["jti"]).first()
        if row is not None and row.revoked_at is None and row.user.is_active:
            if row.used_at is None:
                row.used_at = now
                row.save(update_fields=["used_at"])
            if now - row.used_at <= GRACE:
                return _issue(ports, row.user, row.family, now)
            RefreshToken.objects.filter(family=row.family, revoked_at=None).update(revoked_at=now)
            log.warning("fleet.refresh_token_reused", user=row.user_id)
    raise BadRefreshToken


def authenticate_access(ports: Ports, token: str, *, now: datetime) -> User:
    """Who an access token belongs to. Raises BadToken, UserNotFound, UserInactive."""
    claims = _read(ports, token, "access", now)
    user = User.objects.filter(pk=claims["user_id"]).first()
    if user is None:
        raise UserNotFound
    if not user.is_active:
        raise UserInactive
    family = str(claims["jti"])[:_FAMILY_CHARACTERS]
    if RefreshToken.objects.filter(family=family, revoked_at__isnull=False).exists():
        raise BadToken
    return user


def revoke_all(user: User, *, now: datetime) -> int:
    """End every login of a user, on whatever phone; how many tokens that were."""
    return RefreshToken.objects.filter(user=user, revoked_at=None).update(revoked_at=now)


def forget_expired(now: datetime) -> None:
    RefreshToken.objects.filter(expires_at__lt=now).delete()


def _issue(ports: Ports, user: User, family: str, now: datetime) -> Pair:
    jti = family + secrets.token_hex(16)
    RefreshToken.objects.create(
        jti=jti, user=user, family=family, created_at=now, expires_at=now + timedelta(seconds=REFRESH_S)
    )
    access_jti = family + secrets.token_hex(16)
    return Pair(
        access=_sign(ports, user, "access", access_jti, ACCESS_S, now),
        refresh=_sign(ports, user, "refresh", jti, REFRESH_S, now),
    )


def _sign(ports: Ports, user: User, kind: str, jti: str, seconds: int, now: datetime) -> str:
    import jwt  # weighs as much as all of Starlette: only where there are phones

    issued_at = int(now.timestamp())
    claims = {
        "token_type": kind,
        "exp": issued_at + seconds,
        "iat": issued_at,
        "jti": jti,
        "user_id": user.pk,
    }
    return jwt.encode(claims, _key(ports), _ALGORITHM)


def _read(ports: Ports, token: str, kind: str, now: datetime) -> dict[str, Any]:
    """The claims of a token of this kind. Its times are judged by ``now``, not by the machine's clock."""
    import jwt

    if len(token) > MAX_TOKEN_CHARACTERS:
        raise BadToken
    options: Any = {"require": list(_CLAIMS), "verify_exp": False, "verify_iat": False, "verify_nbf": False}
    try:
        claims: dict[str, Any] = jwt.decode(token, _key(ports), algorithms=[_ALGORITHM], options=options)
    except jwt.PyJWTError as exc:
        raise BadToken from exc
    exp, user_id = claims["exp"], claims["user_id"]
    if type(exp) is not int or type(user_id) is not int or exp <= now.timestamp():
        raise BadToken
    if claims["token_type"] != kind:
        raise WrongTokenType
    return claims


def _key(ports: Ports) -> str:
    return ports.secrets.get_or_create(KEY_NAME, 48).reveal()
