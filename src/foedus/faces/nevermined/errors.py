"""What goes wrong, as ``{"error": code, "error_description": sentence}`` with the statuses that clients know."""

from collections.abc import Mapping
from math import ceil
from typing import Any
from uuid import uuid4

import structlog
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import HttpResponse, JsonResponse, UnreadablePostError
from django.http.multipartparser import MultiPartParserError

from foedus.core import errors
from foedus.core.errors import PlatformError
from foedus.services.market.login import BadLogin
from foedus.services.market.rights import Unpaid, WindowOver
from foedus.services.market.signatures import BadSignature
from foedus.services.market.tickets import BadTicket
from foedus.services.market.uploads import UploadsOff
from foedus.wallet.grants import BadGrant

log = structlog.get_logger()


class MethodNotAllowed(errors.Invalid):
    """There is no such method here."""

    def __init__(self, allow: tuple[str, ...]) -> None:
        super().__init__(f"this address knows the methods {', '.join(allow)}")
        self.allow = allow


# A class that is not named here answers as its nearest ancestor that is.
STATUS: Mapping[type[PlatformError], int] = {
    PlatformError: 500,
    errors.Invalid: 400,
    errors.TooLarge: 413,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.QuotaExceeded: 429,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Unavailable: 503,
    MethodNotAllowed: 405,
    Unpaid: 402,
    WindowOver: 410,
    UploadsOff: 501,
}
_CODES: Mapping[type[PlatformError], str] = {
    BadGrant: "invalid_client",
    BadLogin: "invalid_token",
    BadTicket: "invalid_token",
    BadSignature: "invalid_client",
}
_TRANSLATIONS: tuple[tuple[tuple[type[Exception], ...], type[PlatformError], str], ...] = (
    ((RequestDataTooBig,), errors.TooLarge, "the body is larger than this call reads"),
    ((UnreadablePostError,), errors.Invalid, "the body was cut on its way; send it again"),
    ((MultiPartParserError,), errors.Invalid, "this is no multipart/form-data: its boundary is missing or wrong"),
    ((SuspiciousOperation,), errors.Invalid, "this server does not read such requests"),
    ((OperationalError, InterfaceError), errors.Unavailable, "the database does not answer; try again in a moment"),
)


def respond(exc: Exception, path: str) -> HttpResponse:
    """The answer to ``exc``. What nobody foresaw is logged under the request_id that the answer names."""
    known = _known(exc)
    status = next(STATUS[kind] for kind in type(known).__mro__ if kind in STATUS)
    body: dict[str, Any] = {"error": _CODES.get(type(known), known.code), "error_description": known.message}
    if "field" in known.context:
        body["field"] = str(known.context["field"])
    if status == STATUS[PlatformError]:
        request_id = uuid4().hex
        log.error("request.failed", path=path, request_id=request_id, exc_info=exc)
        body = {
            "error": "server_error",
            "error_description": f"Error inside the server; its log has more under {request_id}",
        }
    body["message"] = body["error_description"]  # where later clients look for it
    return JsonResponse(body, status=status, headers=_headers(known))


def _known(exc: Exception) -> PlatformError:
    if isinstance(exc, PlatformError):
        return exc
    for kinds, kind, message in _TRANSLATIONS:
        if isinstance(exc, kinds):
            return kind(message)
    return PlatformError(repr(exc))


def _headers(exc: PlatformError) -> dict[str, str]:
    match exc:
        case errors.Unauthenticated():
            return {"WWW-Authenticate": f'Bearer error="{_CODES.get(type(exc), "invalid_token")}"'}
        case errors.QuotaExceeded() | errors.Unavailable():
            return {"Retry-After": str(max(1, ceil(exc.context.get("retry_after_s", 1))))}
        case MethodNotAllowed():
            return {"Allow": ", ".join(exc.allow)}
        case _:
            return {}
