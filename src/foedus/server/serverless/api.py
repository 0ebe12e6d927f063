"""The API service as a function: HTTP behind a load balancer or a gateway, and the event that migrates the database."""

import json
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, BinaryIO

from foedus import bootstrap
from foedus.core.errors import Invalid, TooLarge, Unavailable
from foedus.server.fma_settings import API_HANDLERS, fma_settings
from foedus.server.serverless import large, runtime
from foedus.server.serverless.events import Call, Headers, answer_to, call_of, environ_of, is_http

JSON: Headers = [("content-type", "application/json")]
HEALTH = {b"/healthz", b"/health"}


def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """The function's entry point."""
    runtime.start()
    if not is_http(event) and _is_migration(event):
        with runtime.event_of("api", context, kind="migrate"):
            runtime.migrate()
        return {"statusCode": 200, "headers": dict(JSON), "body": '{"data": "database updated successfully"}'}
    settings = fma_settings()
    handle = settings.load(API_HANDLERS, settings.api_service.handler, "API_SERVICE_SETTINGS.handler")
    answer: dict[str, Any] = handle(event, context)
    return answer


def django_lambda_handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Let Django answer an HTTP event."""
    with runtime.event_of("api", context, kind="http") as told:
        try:
            call = call_of(event)
        except Invalid as exc:
            told["status"] = 400
            return {"statusCode": 400, "headers": dict(JSON), "body": json.dumps({"detail": exc.message})}
        told |= {"method": call.method, "path": call.path.decode(errors="replace"), "bytes_in": len(call.body)}
        try:
            status, headers, body = _answered(call)
            answer = answer_to(call, status, headers, body)
            if large.too_large(call, answer):
                headers = large.sent_around(bootstrap.ports().blobs, headers, body)
                told["bytes_around"] = len(body)
                status, body = 303, b""
                answer = answer_to(call, status, headers, body)
        except (Invalid, Unavailable) as exc:
            status = 503 if isinstance(exc, Unavailable) else 413 if isinstance(exc, TooLarge) else 400
            body = json.dumps({"detail": exc.message}).encode()
            answer = answer_to(call, status, JSON, body)
        told |= {"status": status, "bytes_out": len(body)}
        return answer


def _answered(call: Call) -> tuple[int, Headers, bytes]:
    if call.path in HEALTH and call.method == "GET":
        return 200, JSON, b'{"status": "healthy"}'
    blobs = bootstrap.ports().blobs
    if call.path == large.UPLOADS and call.method == "POST":
        return large.place_for(call, blobs, bootstrap.settings().max_model_bytes, respond)
    with large.body_of(call, blobs) as (body, length):
        answer = respond(call, body, length)
    if answer[0] < 400:
        large.forget(call, blobs)
    return answer


def respond(call: Call, body: BinaryIO, length: int) -> tuple[int, Headers, bytes]:
    """What Django says to a request."""
    begun: list[tuple[str, Headers]] = []

    def start_response(status: str, headers: Headers, exc_info: Any = None) -> None:  # noqa: ARG001 - WSGI's
        begun.append((status, headers))

    chunks: Iterable[bytes] = _django()(environ_of(call, body, length), start_response)
    try:
        content = b"".join(chunks)
    finally:
        if hasattr(chunks, "close"):
            chunks.close()  # tells Django that the request is over
    status, headers = begun[-1]
    return int(status.split(" ", 1)[0]), headers, content


@cache
def _django() -> Any:
    """The web application, kept between events."""
    from django.core.wsgi import get_wsgi_application

    return get_wsgi_application()


def _is_migration(event: Mapping[str, Any]) -> bool:
    detail = event.get("detail")
    return isinstance(detail, Mapping) and bool(detail.get("update_metadata_db"))
