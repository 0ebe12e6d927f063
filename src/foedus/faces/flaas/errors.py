"""What goes wrong, in the words that this dialect's clients know: ``{"detail": ...}``, or a list for each field.

Clients look at little but the status. Two things matter: 401 makes them refresh their token, so that only a token that
does not open anything answers it; and 204 is a failure to them.
"""

from collections.abc import Mapping
from math import ceil
from typing import Any
from uuid import uuid4

import structlog
from django.core.exceptions import BadRequest, RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import UnreadablePostError
from django.http.multipartparser import MultiPartParserError

from foedus.core import errors
from foedus.core.errors import PlatformError
from foedus.services.fleet import tokens
from foedus.services.fleet.fields import BadFields

log = structlog.get_logger()

CHALLENGE = 'Bearer realm="api"'


class Malformed(errors.Invalid):
    """Malformed request."""


class Empty(errors.Invalid):
    """A required part is missing; such answers have no body."""


class UnsupportedMediaType(errors.Invalid):
    """The body is of a type that this call does not take."""


class MethodNotAllowed(errors.Invalid):
    """There is no such method here."""

    def __init__(self, method: str, allow: tuple[str, ...]) -> None:
        super().__init__(f'Method "{method}" not allowed.')
        self.allow = allow


class BadHeader(errors.Unauthenticated):
    """Authorization header must contain two space-delimited values"""


# A class that is not named here answers as its nearest ancestor that is.
STATUS: Mapping[type[PlatformError], int] = {
    PlatformError: 500,
    errors.Invalid: 422,
    errors.TooLarge: 413,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.QuotaExceeded: 429,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Unavailable: 503,
    BadFields: 400,
    Malformed: 400,
    Empty: 400,
    tokens.BadRefreshToken: 400,
    UnsupportedMediaType: 415,
    MethodNotAllowed: 405,
}
_CODES: Mapping[type[PlatformError], str] = {
    tokens.BadToken: "token_not_valid",
    tokens.BadRefreshToken: "token_not_valid",
    tokens.UserNotFound: "user_not_found",
    tokens.UserInactive: "user_inactive",
    BadHeader: "bad_authorization_header",
}
_NO_TOKEN = "Given token not valid for any token type"  # noqa: S105 - a sentence


def answer_to(exc: Exception, path: str) -> tuple[int, Any, dict[str, str]]:
    """Status, body (None: none) and headers that answer ``exc``. What is the server's own fault is logged."""
    known = _known(exc)
    status = next(STATUS[kind] for kind in type(known).__mro__ if kind in STATUS)
    if status == STATUS[PlatformError]:
        request_id = uuid4().hex
        log.error("request.failed", path=path, request_id=request_id, exc_info=exc)
        return status, {"detail": "A server error occurred.", "request_id": request_id}, {}
    return status, _body(known), _headers(known, status)


def _known(exc: Exception) -> PlatformError:
    match exc:
        case PlatformError():
            return exc
        case RequestDataTooBig():
            return errors.TooLarge("The body is larger than allowed.")
        case UnreadablePostError() | SuspiciousOperation() | BadRequest() | MultiPartParserError():
            return Malformed()
        case OperationalError() | InterfaceError():
            return errors.Unavailable("The database does not answer; try again in a moment.")
        case _:
            return PlatformError()


def _body(exc: PlatformError) -> Any:
    match exc:
        case Empty():
            return None
        case BadFields():
            return exc.errors
        case errors.NotFound():
            return {"detail": "Not found."}
        case tokens.BadToken():
            message = {"token_class": "AccessToken", "token_type": "access", "message": exc.message}
            return {"detail": _NO_TOKEN, "code": "token_not_valid", "messages": [message]}
        case _:
            code = next((_CODES[kind] for kind in type(exc).__mro__ if kind in _CODES), None)
            return {"detail": exc.message} | ({"code": code} if code else {})


def _headers(exc: PlatformError, status: int) -> dict[str, str]:
    if status == STATUS[errors.Unauthenticated]:
        return {"WWW-Authenticate": CHALLENGE}
    match exc:
        case MethodNotAllowed():
            return {"Allow": ", ".join(exc.allow)}
        case errors.QuotaExceeded() | errors.Unavailable():
            return {"Retry-After": str(max(1, ceil(exc.context.get("retry_after_s", 1))))}
        case _:
            return {}
