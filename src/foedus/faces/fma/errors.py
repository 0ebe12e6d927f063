"""What goes wrong, in the words that this dialect's clients know: ``{"detail": ...}``, or a list for each field.

Always JSON: the published client raises an error of its own when an answer is anything else.
"""

from collections.abc import Mapping
from math import ceil
from typing import Any
from uuid import uuid4

import structlog
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import HttpResponse, UnreadablePostError
from django.http.multipartparser import MultiPartParserError

from foedus.core import errors
from foedus.core.errors import PlatformError
from foedus.faces.fma.rendering import to_json
from foedus.services.aggregation.errors import FieldInvalid

log = structlog.get_logger()

CHALLENGE = 'Basic realm="api"'
NOT_PROVIDED = "Authentication credentials were not provided."
NOT_PERMITTED = "You do not have permission to perform this action."


class BadFields(errors.Invalid):
    """Fields are missing or wrong."""

    def __init__(self, fields: Mapping[str, list[str]]) -> None:
        super().__init__("; ".join(f"{name}: {texts[0]}" for name, texts in fields.items()))
        self.fields = fields


class Malformed(errors.Invalid):
    """Malformed request."""


class UnsupportedMediaType(errors.Invalid):
    """The body is of a type that this call does not take."""


class LengthRequired(errors.Invalid):
    """Send a Content-Length."""


class MethodNotAllowed(errors.Invalid):
    """There is no such method here."""

    def __init__(self, method: str, allow: tuple[str, ...]) -> None:
        super().__init__(f'Method "{method[:20]}" not allowed.')
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
    UnsupportedMediaType: 415,
    LengthRequired: 411,
    MethodNotAllowed: 405,
}
# What a class says when nobody gave it words: those of this dialect.
_WORDS: Mapping[type[PlatformError], str] = {
    errors.Unauthenticated: NOT_PROVIDED,
    errors.Forbidden: NOT_PERMITTED,
    errors.NotFound: "Not found.",
}
_TRANSLATIONS: tuple[tuple[tuple[type[Exception], ...], type[PlatformError], str], ...] = (
    ((RequestDataTooBig,), errors.TooLarge, "The fields of a form have at most 1 MiB together."),
    ((UnreadablePostError,), Malformed, "The body was cut on its way."),
    ((MultiPartParserError,), Malformed, "Multipart form parse error."),
    ((SuspiciousOperation,), Malformed, "This server does not read such requests."),
    ((OperationalError, InterfaceError), errors.Unavailable, "The database does not answer; try again in a moment."),
)


def respond(exc: Exception, path: str) -> HttpResponse:
    """The answer to ``exc``. What nobody foresaw is logged under the request_id that the answer names."""
    known = _known(exc)
    status = next(STATUS[kind] for kind in type(known).__mro__ if kind in STATUS)
    body = _body(known)
    if status == STATUS[PlatformError]:
        request_id = uuid4().hex
        log.error("request.failed", path=path, request_id=request_id, exc_info=exc)
        body = {"detail": f"Something went wrong inside the server; its log has more under {request_id}."}
    return HttpResponse(to_json(body), status=status, content_type="application/json", headers=_headers(known))


def _known(exc: Exception) -> PlatformError:
    if isinstance(exc, PlatformError):
        return exc
    for kinds, kind, message in _TRANSLATIONS:
        if isinstance(exc, kinds):
            return kind(message)
    return PlatformError(repr(exc))


def _body(exc: PlatformError) -> dict[str, Any]:
    match exc:
        case BadFields():
            return dict(exc.fields)
        case FieldInvalid():
            return {exc.field: [exc.message]}
        case errors.QuotaExceeded():
            return {"detail": f"Request was throttled. Expected available in {_wait_s(exc)} seconds."}
    unspoken = exc.message == type(exc)().message if type(exc) in _WORDS else False
    return {"detail": _WORDS[type(exc)] if unspoken else exc.message}


def _headers(exc: PlatformError) -> dict[str, str]:
    match exc:
        case errors.Unauthenticated():
            return {"WWW-Authenticate": CHALLENGE}
        case errors.QuotaExceeded() | errors.Unavailable():
            return {"Retry-After": str(_wait_s(exc))}
        case MethodNotAllowed():
            return {"Allow": ", ".join(exc.allow)}
        case _:
            return {}


def _wait_s(exc: PlatformError) -> int:
    wait_s: float = exc.context.get("retry_after_s", 1)
    return max(1, ceil(wait_s))
