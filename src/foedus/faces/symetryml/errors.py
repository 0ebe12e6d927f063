"""What goes wrong, in the words and codes that clients of this dialect know."""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from math import ceil
from typing import Any
from uuid import uuid4

import structlog
from django.db import InterfaceError, OperationalError

from foedus.core import errors
from foedus.core.errors import PlatformError
from foedus.core.fusion.parcel import Circle
from foedus.faces.symetryml.envelope import Answer
from foedus.services.customers.requests import BadSignature
from foedus.services.fusion.errors import CellsMissing
from foedus.services.statistics import errors as statistics

log = structlog.get_logger()


class BodyTooLarge(errors.TooLarge):
    """The body is larger than allowed."""


class Timeout(errors.Invalid):
    """The body took too long."""


class NoSuchAddress(errors.NotFound):
    """There is nothing at this address."""


class MethodNotAllowed(errors.Invalid):
    """This address is not called by this method."""


# A class that is not named here answers as its nearest ancestor that is.
STATUS: Mapping[type[PlatformError], HTTPStatus] = {
    PlatformError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.Invalid: HTTPStatus.BAD_REQUEST,
    errors.Unauthenticated: HTTPStatus.UNAUTHORIZED,
    errors.Forbidden: HTTPStatus.FORBIDDEN,
    errors.QuotaExceeded: HTTPStatus.TOO_MANY_REQUESTS,
    errors.NotFound: HTTPStatus.BAD_REQUEST,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    BodyTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Timeout: HTTPStatus.REQUEST_TIMEOUT,
    NoSuchAddress: HTTPStatus.NOT_FOUND,
    MethodNotAllowed: HTTPStatus.METHOD_NOT_ALLOWED,
    statistics.ModelMissing: HTTPStatus.INTERNAL_SERVER_ERROR,
    CellsMissing: HTTPStatus.INTERNAL_SERVER_ERROR,
    Circle: HTTPStatus.LOOP_DETECTED,
}
_TEXTS: Mapping[type[PlatformError], Callable[[Mapping[str, Any], str], str]] = {
    statistics.ProjectMissing: lambda about, cid: (
        f"Cannot Find SYMETRYML id[{about.get('project')}] for Customer id [{cid}]"
    ),
    statistics.ProjectTaken: lambda about, cid: (
        f"Customer [{cid}] already have SYMETRYML with id[{about.get('project')}], "
    ),
    statistics.ModelMissing: lambda about, _: f"Generic Exception <Error no such model <{about.get('model')}>>",
    statistics.JobMissing: lambda _, __: "No such job",
}


def answer_to(exc: Exception, path: str, cid: str) -> Answer:
    """``exc`` in an envelope. What nobody foresaw is logged under the id that the answer names."""
    known = exc if isinstance(exc, PlatformError) else _translated(exc)
    if known is None:
        request_id = uuid4().hex
        log.error("request.failed", path=path[:200], request_id=request_id, exc_info=exc)
        text = f"Generic Exception <something went wrong inside the server; its log has more under {request_id}>"
        return Answer(status=HTTPStatus.INTERNAL_SERVER_ERROR, text=text)
    status = next(STATUS[kind] for kind in type(known).__mro__ if kind in STATUS)
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        log.warning("request.unavailable", path=path[:200], error=str(known))
    text = next((_TEXTS[kind](known.context, cid) for kind in type(known).__mro__ if kind in _TEXTS), known.message)
    values = {"stringToSign": known.context["string_to_sign"]} if _tells_what_was_signed(known) else {}
    return Answer(values, status, text, _headers(known))


def answer_to_failed(error: Mapping[str, Any]) -> Answer:
    """How a job failed."""
    return Answer(status=HTTPStatus.INTERNAL_SERVER_ERROR, text=str(error.get("text")))


def _translated(exc: Exception) -> PlatformError | None:
    if isinstance(exc, OperationalError | InterfaceError):
        return errors.Unavailable("the database does not answer; try again in a moment")
    return None


def _tells_what_was_signed(exc: PlatformError) -> bool:
    return isinstance(exc, BadSignature) and "string_to_sign" in exc.context


def _headers(exc: PlatformError) -> dict[str, str]:
    if isinstance(exc, errors.QuotaExceeded | errors.Unavailable):
        return {"Retry-After": str(max(1, ceil(exc.context.get("retry_after_s", 1))))}
    return {}
