"""Who is asking: Basic, then the session, then ``CLIENT-UUID``, then a token. The first that is there decides."""

import base64
import binascii
import hashlib
import re
import secrets
import threading
from collections import OrderedDict
from datetime import datetime
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.utils import timezone

from foedus.core.errors import Forbidden, Unauthenticated
from foedus.faces.fma.limits import LIMITS
from foedus.records.accounts.models import User
from foedus.services.accounts.passwords import user_by_password
from foedus.services.aggregation.access import ANYBODY, Caller, find_client
from foedus.services.aggregation.tokens import user_of

BAD_LOGIN = "Invalid username/password."
_UUID = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")
_SCHEME_AND_REST = 2


class BadUuid(Unauthenticated):
    """Invalid UUID"""


def caller_of(request: HttpRequest, *, now: datetime) -> Caller:
    """Raises Unauthenticated for credentials that open nothing, Forbidden for a session without a CSRF token.

    Raises QuotaExceeded for callers that ask, and addresses that fail, too often.
    """
    try:
        caller = _caller(request, now)
    except Unauthenticated:
        LIMITS.strangers.take(address_of(request), now.timestamp())
        raise
    if caller is not ANYBODY:
        LIMITS.callers.take(f"{caller.user and caller.user.pk}/{caller.client and caller.client.pk}", now.timestamp())
    return caller


def uuid_in(request: HttpRequest) -> UUID | None:
    """The header ``CLIENT-UUID``; an empty one counts as absent. Raises BadUuid."""
    text = request.headers.get("CLIENT-UUID", "").strip()
    if not text:
        return None
    if not _UUID.fullmatch(text):
        raise BadUuid(f'"{text[:80]}" is not a valid UUID.')
    return UUID(text)


def address_of(request: HttpRequest) -> str:
    return str(request.META.get("REMOTE_ADDR", ""))


def checked_login(request: HttpRequest, username: str, password: str) -> User:
    """The user of that name and password. Raises Unauthenticated, QuotaExceeded."""
    user = user_by_password(username, password, address_of(request), now=timezone.now())
    if user is None:
        raise Unauthenticated(BAD_LOGIN)
    return user


def _caller(request: HttpRequest, now: datetime) -> Caller:
    scheme, _, rest = request.headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() == "basic":
        return Caller(user=_basic(request, rest.strip()))
    if isinstance(request.user, User) and request.user.is_active:
        _check_csrf(request)
        return Caller(user=request.user)
    uuid = uuid_in(request)
    if uuid is not None:
        client = find_client(uuid)
        if client is None:
            raise BadUuid
        return Caller(client=client)
    if scheme.lower() == "token":
        return Caller(user=user_of(rest.strip(), now=now))
    return ANYBODY


def _basic(request: HttpRequest, encoded: str) -> User:
    try:
        text = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise Unauthenticated("Invalid basic header. Credentials not correctly base64 encoded.") from None
    name, colon, password = text.partition(":")
    if not colon or "\0" in text:
        raise Unauthenticated("Invalid basic header. Credentials not correctly base64 encoded.")
    return _LOGINS.user(request, name, password)


class _Csrf(CsrfViewMiddleware):
    """Django's check, which tells its reason instead of answering by a page."""

    def _reject(self, request: HttpRequest, reason: str) -> str:  # noqa: ARG002 - Django's
        return reason


def _check_csrf(request: HttpRequest) -> None:
    check = _Csrf(_unmarked)
    check.process_request(request)
    reason = check.process_view(request, _unmarked, (), {})
    if reason:
        raise Forbidden(f"CSRF Failed: {reason}")


def _unmarked(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    """A view that is not exempt from the check; it is looked at and never called."""
    return HttpResponse()


class _Logins:
    """Passwords that were right a moment ago, as keyed hashes: checking one on purpose takes half a second."""

    MAX = 1_000

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._known: OrderedDict[bytes, int] = OrderedDict()
        self._lock = threading.Lock()

    def user(self, request: HttpRequest, name: str, password: str) -> User:
        """Raises Unauthenticated. A changed password or a deactivated account counts at once."""
        user = User.objects.filter(username=name).first()
        if user is not None and user.is_active and self._digest(user, password) in self._known:
            return user
        user = checked_login(request, name, password)
        with self._lock:
            self._known[self._digest(user, password)] = user.pk
            while len(self._known) > self.MAX:
                self._known.popitem(last=False)
        return user

    def _digest(self, user: User, password: str) -> bytes:
        text = f"{user.pk}\0{user.password}\0{password}".encode(errors="surrogatepass")
        return hashlib.blake2b(text, key=self._key).digest()


_LOGINS = _Logins()
