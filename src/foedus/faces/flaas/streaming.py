"""What is large: sample files and models on their way down, models and results on their way up."""

import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from foedus.core.errors import NotFound, TooLarge
from foedus.core.fleet.performance import MAX_BYTES as MAX_RESULTS_BYTES
from foedus.faces.flaas.auth import user_of
from foedus.faces.flaas.errors import Empty, MethodNotAllowed, answer_to
from foedus.faces.flaas.parsing import JSON, check_type, number_in
from foedus.faces.flaas.rendering import to_json
from foedus.ports import Ports
from foedus.records.accounts.models import User
from foedus.services.fleet import downloads, training
from foedus.services.fleet.accounts import device_of
from foedus.services.fleet.objects import MODEL_FILE, RESULTS_FILE, Object
from foedus.services.shell.staging import Staged, Staging
from foedus.services.shell.threads import in_thread

T = TypeVar("T")
Call = Callable[[Request, User], Awaitable[Response]]

OCTETS = "application/octet-stream"
PIECE_BYTES = 1 << 20  # handed to a thread at once
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class _Id(Convertor[int]):
    """A primary key: more digits than a database keeps name nothing."""

    regex = "[0-9]{1,18}"

    def convert(self, value: str) -> int:
        return int(value)

    def to_string(self, value: int) -> str:
        return str(value)


register_url_convertor("flaas_id", _Id())


def answering(method: str, call: Call) -> Callable[[Request], Awaitable[Response]]:
    """An address with one method. Whatever goes wrong is answered in this dialect."""
    allow = ("GET", "HEAD", "OPTIONS") if method == "GET" else (method, "OPTIONS")

    @functools.wraps(call)
    async def answer(request: Request) -> Response:
        try:
            user = await in_thread(user_of, _ports(request), request.headers.get("authorization"), now=_now())
            _check_method(request, allow)
            return await call(request, user)
        except ClientDisconnect:
            return Response(status_code=499)
        except Exception as exc:  # noqa: BLE001 - the last line before the server's page
            status, body, headers = answer_to(exc, request.url.path)
            content = b"" if body is None else to_json(body)
            return Response(content, status, headers, media_type=JSON if content else None)

    return answer


def _check_method(request: Request, allow: tuple[str, ...]) -> None:
    if request.method not in allow or request.method == "OPTIONS":
        raise MethodNotAllowed(request.method[:20], allow)


async def get_model(request: Request, user: User) -> Response:
    """The model that a round starts from."""
    number = number_in(request.path_params["number"])
    return await _download(
        request, partial(downloads.start_model, _ports(request), user, request.path_params["project_id"], number)
    )


async def get_samples(request: Request, user: User) -> Response:
    """The samples of one app of the caller's phone."""
    kind, app = request.path_params["kind"], request.path_params["app"]
    return await _download(request, partial(downloads.samples, _ports(request), user, kind, app, now=_now()))


async def submit_model(request: Request, user: User) -> Response:
    """A phone's model for a round."""
    pk, number = _address(request, MODEL_FILE)
    check_type(request.headers.get("content-type", ""), OCTETS)
    device = await in_thread(device_of, user, now=_now())
    limit = await in_thread(training.expect_model, device, pk, number)
    ports = _ports(request)
    await _body(request, limit, lambda body: training.submit_model(ports, device, pk, number, body, now=_now()))
    return Response(status_code=201)


async def submit_results(request: Request, user: User) -> Response:
    """A phone's ``performance.json`` for a round."""
    pk, number = _address(request, RESULTS_FILE)
    check_type(request.headers.get("content-type", ""), JSON)
    device = await in_thread(device_of, user, now=_now())
    ports = _ports(request)

    def keep(body: Staged) -> None:
        training.submit_results(ports, device, pk, number, body.path.read_bytes(), now=_now())

    await _body(request, MAX_RESULTS_BYTES, keep)
    return Response(status_code=201)


def _address(request: Request, file: str) -> tuple[int, int]:
    if request.path_params["filename"] != file:
        raise NotFound(f"only {file} is taken here")
    return request.path_params["project_id"], number_in(request.path_params["number"])


async def _download(request: Request, find: Callable[[], Object]) -> Response:
    found = await in_thread(find)
    headers = {"Content-Length": str(found.size_bytes), "Cache-Control": "private, no-store"}
    if request.method == "HEAD":
        return Response(headers=headers, media_type=OCTETS)
    chunks = await in_thread(found.read, _ports(request))
    return StreamingResponse(chunks, headers=headers, media_type=OCTETS)


async def _body(request: Request, limit: int, use: Callable[[Staged], T]) -> T:
    """Receive the body and call ``use`` with it, in a thread; the scratch file is gone afterwards."""
    length = request.headers.get("content-length", "")
    if length.isdecimal() and (len(length) > 18 or int(length) > limit):
        raise TooLarge(f"The body has at most {limit} bytes here.", limit_bytes=limit)
    staging = await in_thread(Staging, _ports(request).scratch, limit)
    try:
        async for piece in _pieces(request):
            await in_thread(staging.write, piece)
        return await in_thread(_finish, staging, use)
    finally:
        await in_thread(staging.close)


def _finish(staging: Staging, use: Callable[[Staged], T]) -> T:
    body = staging.finish(None)
    if not body.size_bytes:
        raise Empty
    return use(body)


async def _pieces(request: Request) -> AsyncIterator[bytes]:
    """The body in pieces of about PIECE_BYTES."""
    parts: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        parts.append(chunk)
        size += len(chunk)
        if size >= PIECE_BYTES:
            yield b"".join(parts)
            parts, size = [], 0
    if size:
        yield b"".join(parts)


def _ports(request: Request) -> Ports:
    ports: Ports = request.app.state.ports
    return ports


def _now() -> datetime:
    return datetime.now(UTC)


def _routes() -> tuple[BaseRoute, ...]:
    project = "/api/project/{project_id:flaas_id}"
    views: tuple[tuple[str, str, Call], ...] = (
        (f"{project}/get-model/{{number}}", "GET", get_model),
        ("/api/get-samples/{kind}/{app}", "GET", get_samples),
        (f"{project}/submit-model/{{number}}/{{filename}}", "POST", submit_model),
        (f"{project}/submit-results/{{number}}/{{filename}}", "POST", submit_results),
    )
    return tuple(
        Route(address + slash, answering(method, call), methods=list(_METHODS))
        for address, method, call in views
        for slash in ("", "/")
    )


ROUTES = _routes()
