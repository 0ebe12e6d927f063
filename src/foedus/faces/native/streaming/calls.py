"""From an asynchronous request to a synchronous service and back."""

import functools
import json
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from foedus.core.errors import Invalid, NotFound, Unavailable
from foedus.faces.native.auth import authenticated
from foedus.faces.native.errors import STATUS, Internal, MethodNotAllowed, problem
from foedus.ports import Ports
from foedus.services.shell.authorisation import Actor
from foedus.services.shell.threads import in_thread

log = structlog.get_logger()
T = TypeVar("T")
_KEY = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_UPLOAD = re.compile(r"[0-9a-f]{32}")
_NUMBER = re.compile(r"[0-9]{1,9}")
Handler = Callable[[Request], Awaitable[Response]]


class ProblemResponse(JSONResponse):
    media_type = "application/problem+json"


def now() -> datetime:
    return datetime.now(UTC)


def ports_of(request: Request) -> Ports:
    ports: Ports = request.app.state.ports
    return ports


async def as_actor(request: Request, call: Callable[[Actor], T]) -> T:
    """Find out who is asking, and ``call`` with that, in one go. Raises Unauthenticated, QuotaExceeded.

    Handing work to a thread costs as much as a small question to the database: so what comes first comes together.
    """
    client = request.client.host if request.client else ""

    def both() -> tuple[Actor, T]:
        actor = authenticated(request.headers.get("authorization"), client, now=now())
        return actor, call(actor)

    request.state.actor, result = await in_thread(both)
    return result


class _Answering:
    """A handler as an application of its own, which turns what goes wrong into problem+json.

    Starlette calls it as it is; around a function it would put layers that catch what is caught here.
    """

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        functools.update_wrapper(self, handler)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        await (await self._answer(request))(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        try:
            return await self._handler(request)
        except ClientDisconnect:
            return Response(status_code=499)
        except Exception as exc:  # noqa: BLE001 - all of it is answered, and what is not foreseen is logged
            return answer_to(exc, request.url.path)


def answering(handler: Handler) -> _Answering:
    """Have a handler answer by itself, also what goes wrong."""
    return _Answering(handler)


def answer_to(exc: Exception, path: str) -> Response:
    """``exc`` as problem+json. What is the server's own fault is logged, under the id that the client is told."""
    status, body, headers = problem(exc)
    if status == STATUS[Internal]:
        log.error("request.failed", path=path, request_id=body["context"].get("request_id"), exc_info=exc)
    elif status == STATUS[Unavailable]:
        log.warning("request.unavailable", path=path, error=str(exc))
    return ProblemResponse(body, status_code=status, headers=headers)


def key_in(request: Request) -> str:
    """The project's key in the path. Raises NotFound for what cannot be one: nothing else reaches the database."""
    return _part_in(request, "project", _KEY)


def upload_in(request: Request) -> str:
    """The upload's id in the path. Raises NotFound for what cannot be one."""
    return _part_in(request, "upload", _UPLOAD)


def round_in(request: Request) -> int:
    """The round's number in the path. Raises NotFound for what cannot be one."""
    return int(_part_in(request, "number", _NUMBER))


async def refusal(request: Request, exc: Exception) -> Response:
    """What the router itself refuses, where nothing else answers."""
    known = exc if isinstance(exc, HTTPException) else HTTPException(404)
    if known.status_code != 405:
        return answer_to(NotFound("there is nothing at this address; see /foedus/v1/openapi.json"), request.url.path)
    allow = tuple(sorted((known.headers or {}).get("Allow", "").split(", ")))
    return answer_to(MethodNotAllowed(f"only {', '.join(allow)} can be used here", allow=allow), request.url.path)


def number_in(request: Request, name: str, *, default: float | None = None, low: float, high: float) -> float:
    """A number from the query string. Raises Invalid naming it."""
    text = request.query_params.get(name)
    if text is None:
        if default is None:
            raise Invalid(f"the query parameter {name!r} is missing", field=name)
        return default
    try:
        value = float(text)
    except ValueError:
        raise Invalid(f"{name} must be a number, not {text[:40]!r}", field=name) from None
    if not low <= value <= high:  # also refuses NaN
        raise Invalid(f"{name} must be {low:g} to {high:g}, not {text[:40]}", field=name)
    return value


def metrics_in(request: Request) -> dict[str, float]:
    """The flat JSON object of the header ``Foedus-Metrics``. Raises Invalid."""
    text = request.headers.get("foedus-metrics", "{}")
    if len(text) > 4096:
        raise Invalid("Foedus-Metrics is longer than 4096 characters", field="Foedus-Metrics")
    try:
        metrics = json.loads(text)
    except (ValueError, RecursionError):
        raise Invalid("Foedus-Metrics must be a JSON object", field="Foedus-Metrics") from None
    if not isinstance(metrics, dict):
        raise Invalid("Foedus-Metrics must be a JSON object", field="Foedus-Metrics")
    return metrics


def _part_in(request: Request, name: str, pattern: re.Pattern[str]) -> str:
    text: str = request.path_params[name]
    if not pattern.fullmatch(text):
        raise NotFound(f"there is nothing at this address: {text[:40]!r} is no {name}")
    return text
