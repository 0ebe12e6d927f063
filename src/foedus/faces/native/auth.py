"""Who is asking: a bearer token, and never too often."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.http import HttpRequest

from foedus.core.errors import PlatformError, QuotaExceeded, Unauthenticated
from foedus.faces.native.limits import LIMITS
from foedus.ports import Ports
from foedus.services.accounts.credentials import authenticate_all
from foedus.services.shell.authorisation import Actor

_BEARER = re.compile(r"bearer +([!-~]+) *", re.IGNORECASE)


class NativeRequest(HttpRequest):
    """A request as views see it: the server gave it ``ports``, ``Bearer`` its ``auth``."""

    ports: Ports
    auth: Actor


@dataclass(frozen=True, slots=True)
class Caller:
    """What a request says of who sent it: its ``Authorization`` header, and the address that it came from."""

    header: str | None
    client: str


def authenticated(header: str | None, client: str, *, now: datetime) -> Actor:
    """The actor behind an ``Authorization`` header sent from the address ``client``.

    Raises Unauthenticated; QuotaExceeded for actors that ask, and for addresses that fail, too often.
    """
    (found,) = authenticated_all([Caller(header, client)], now=now)
    if isinstance(found, PlatformError):
        raise found
    return found


def authenticated_all(callers: Sequence[Caller], *, now: datetime) -> list[Actor | PlatformError]:
    """The same for several callers, in one question; what would be raised is in its caller's place."""
    tokens = [_token_or_error(caller.header) for caller in callers]
    found = iter(authenticate_all([token for token in tokens if isinstance(token, str)], now=now))
    known = [next(found) if isinstance(token, str) else token for token in tokens]
    return [_within_limits(each, caller, now.timestamp()) for each, caller in zip(known, callers, strict=True)]


def _token_or_error(header: str | None) -> str | Unauthenticated:
    try:
        return token_in(header)
    except Unauthenticated as exc:
        return exc


def _within_limits(found: Actor | Unauthenticated, caller: Caller, now_s: float) -> Actor | PlatformError:
    try:
        if isinstance(found, Unauthenticated):
            # Only failures count: many participants may share an address with one that guesses.
            LIMITS.strangers.take(caller.client, now_s)
        else:
            LIMITS.actors.take(f"{found.kind}:{found.id}", now_s)
    except QuotaExceeded as exc:
        return exc
    return found


def maybe_authenticated(request: HttpRequest, *, now: datetime) -> Actor | None:
    """Who is asking where a token is optional; a wrong one is refused all the same."""
    header = request.headers.get("Authorization")
    if header is not None:
        return authenticated(header, client_of(request), now=now)
    LIMITS.strangers.take(client_of(request), now.timestamp())
    return None


def client_of(request: HttpRequest) -> str:
    return str(request.META.get("REMOTE_ADDR", ""))


def token_in(header: str | None) -> str:
    """The token in an ``Authorization`` header. Raises Unauthenticated."""
    if not header:
        raise Unauthenticated("send a token in the header Authorization: Bearer <token>")
    match = _BEARER.fullmatch(header)
    if match is None:
        raise Unauthenticated("the header Authorization must be Bearer, a space and a token")
    return match[1]
