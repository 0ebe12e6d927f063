"""The API service as a function: HTTP behind a load balancer or a gateway, and the event that migrates the database."""

import io
import json
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from foedus.core.errors import Invalid
from foedus.server.fma_settings import API_HANDLERS, fma_settings
from foedus.server.serverless import runtime
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
        told |= {"method": call.method, "path": call.path.decode(errors="replace")}
        status, headers, body = _answered(call)
        told |= {"status": status, "bytes_in": len(call.body), "bytes_out": len(body)}
        return answer_to(call, status, headers, body)


def _answered(call: Call) -> tuple[int, Headers, bytes]:
    if call.path in HEALTH and call.method == "GET":
        return 200, JSON, b'{"status": "healthy"}'
    return respond(call, io.BytesIO(call.body), len(call.body))


def respond(call: Call, body: io.BufferedIOBase, length: int) -> tuple[int, Headers, bytes]:
    """What Django says to a request."""
    begun: list[tuple[str, Headers]] = []

    def start_response(status: str, headers: Headers, exc_info: Any = None) -> None:  # noqa: ARG001 - WSGI's
        begun.append((status, headers))

    chunks: Iterable[bytes] = _django()(environ_of(call, body, length), start_response)  # type: ignore[arg-type]
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
