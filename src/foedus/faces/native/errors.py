"""What goes wrong, as ``application/problem+json``: one function for both planes."""

from collections.abc import Mapping
from math import ceil
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import structlog
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError

from foedus.core import errors
from foedus.core.errors import PlatformError
from foedus.faces.native import rendering

if TYPE_CHECKING:
    import ninja.errors

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"
_SHOWN = 20  # complaints of one request
_CHARACTERS = 200  # of anything that a client sent and that is said back


class Malformed(errors.Invalid):
    """The body is not JSON that can be read."""


class UnsupportedMediaType(errors.Invalid):
    """The body is of a type that this call does not take."""


class LengthRequired(errors.Invalid):
    """This call needs a Content-Length."""


class RangeNotSatisfiable(errors.Invalid):
    """The range lies outside of what there is."""


class MethodNotAllowed(errors.Invalid):
    """There is no such method here."""

    def __init__(self, message: str | None = None, *, allow: tuple[str, ...] = (), **context: Any) -> None:
        super().__init__(message, **context, allow=list(allow))
        self.allow = allow


class Timeout(errors.Invalid):
    """The body did not arrive in time; send it again."""


class UnknownHost(errors.Invalid):
    """This server does not answer to that name."""


class Internal(PlatformError):
    """Something went wrong inside the server; its log has more under the request_id."""


# A class that is not named here answers as its nearest ancestor that is: its status and its code.
STATUS: Mapping[type[PlatformError], int] = {
    PlatformError: 500,
    Internal: 500,
    errors.Invalid: 422,
    errors.TooLarge: 413,
    errors.NoUpdates: 422,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.QuotaExceeded: 429,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Replayed: 409,
    errors.Late: 409,
    errors.Unavailable: 503,
    Malformed: 400,
    UnsupportedMediaType: 415,
    LengthRequired: 411,
    RangeNotSatisfiable: 416,
    MethodNotAllowed: 405,
    Timeout: 408,
    UnknownHost: 400,
}


def problem(exc: Exception) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Status, body and headers that answer ``exc``. What nobody foresaw gets a ``request_id`` and says nothing else."""
    known = _known(exc)
    kind = next(cls for cls in type(known).__mro__ if cls in STATUS)
    code = kind("").code if kind is not PlatformError else "internal"
    status = STATUS[kind]
    body = {
        "type": f"urn:foedus:error:{code}",
        "title": (kind.__doc__ or "").split("\n", maxsplit=1)[0].rstrip("."),
        "status": status,
        "detail": known.message,
        "code": code,
        "context": _context(known),
    }
    return status, body, _headers(known)


def respond(request: HttpRequest, exc: Exception) -> HttpResponse:
    """The answer to ``exc`` for Django. Whatever is the server's own fault is logged."""
    status, body, headers = problem(exc)
    if status == STATUS[Internal]:
        log.error("request.failed", path=request.path, request_id=body["context"].get("request_id"), exc_info=exc)
    return HttpResponse(rendering.to_json(body), status=status, content_type=MEDIA_TYPE, headers=headers)


_TRANSLATIONS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], type[PlatformError], str], ...] = (
    (RequestDataTooBig, errors.TooLarge, "a JSON body has at most 1 MiB"),
    (UnreadablePostError, Malformed, "the body was cut on its way"),
    (SuspiciousOperation, Malformed, "this server does not read such requests"),
    (Http404, errors.NotFound, "there is nothing at this address"),
    (
        (OperationalError, InterfaceError),
        errors.Unavailable,
        "the database does not answer; try again in a moment",
    ),
)


def _known(exc: Exception) -> PlatformError:
    """``exc`` in the words of foedus."""
    if isinstance(exc, PlatformError):
        return exc
    for kinds, kind, message in _TRANSLATIONS:
        if isinstance(exc, kinds):
            return kind(message)
    import ninja.errors  # with the views that raise these; every server answers by this module, few by those views

    if isinstance(exc, ninja.errors.ValidationError):
        return _invalid(exc)
    if isinstance(exc, ninja.errors.HttpError) and isinstance(exc.__cause__, Exception):
        return _known(exc.__cause__)  # what the parser raised
    return Internal(request_id=uuid4().hex)


def _invalid(exc: "ninja.errors.ValidationError") -> errors.Invalid:
    """A schema's complaints, each with the path of its field: ``policy.name``, ``limit``."""
    complaints = [{"field": _path(e["loc"]), "message": _sentence(e)[:_CHARACTERS]} for e in exc.errors[:_SHOWN]]
    first = complaints[0]
    return errors.Invalid(
        f"{first['field']}: {first['message']}" if first["field"] else f"the body: {first['message']}",
        field=first["field"],
        errors=complaints,
    )


_SENTENCES = {
    "extra_forbidden": "there is no field of this name here",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "dict_type": "must be an object",
}


def _sentence(error: Mapping[str, Any]) -> str:
    """A complaint for those who call the API, who know no Python classes."""
    return _SENTENCES.get(error["type"], str(error["msg"]))


def _path(loc: tuple[str | int, ...]) -> str:
    """Without where the schema stands (``body``, the view's argument), which is nothing to the client."""
    return ".".join(str(part) for part in (loc[2:] if loc[0] == "body" else loc[1:]))[:_CHARACTERS]


def _context(exc: PlatformError) -> dict[str, Any]:
    if isinstance(exc, errors.Unavailable):  # keys and addresses of what is behind us are nobody's business
        return {name: value for name, value in exc.context.items() if name == "retry_after_s"}
    return {name: rendering.plain(value, _CHARACTERS) for name, value in exc.context.items()}


def _headers(exc: PlatformError) -> dict[str, str]:
    match exc:
        case errors.Unauthenticated():
            return {"WWW-Authenticate": "Bearer"}
        case errors.QuotaExceeded() | errors.Unavailable():
            return {"Retry-After": str(max(1, ceil(exc.context.get("retry_after_s", 1))))}
        case MethodNotAllowed():
            return {"Allow": ", ".join(exc.allow)}
        case _:
            return {}
