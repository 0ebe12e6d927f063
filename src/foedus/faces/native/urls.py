"""The addresses below ``/foedus/v1/`` that Django answers; whatever else is asked there gets a problem, not a page."""

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from functools import cache, wraps
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.urls import path, re_path, register_converter
from django.urls.converters import StringConverter
from django.urls.resolvers import URLPattern, URLResolver

from foedus.core.errors import NotFound
from foedus.faces.native import openapi, rendering
from foedus.faces.native.api import api
from foedus.faces.native.errors import MethodNotAllowed, respond

View = Callable[..., HttpResponse]


class Key(StringConverter):
    """A project's key: nothing else even reaches the database."""

    regex = "[a-z0-9]+(?:-[a-z0-9]+)*"


class Number(StringConverter):
    regex = "[0-9]{1,9}"


class Id(StringConverter):
    regex = "[0-9]{1,18}"


class CheckpointNumber(StringConverter):
    regex = "latest|best|[0-9]{1,9}"


class CustomerId(StringConverter):
    regex = "[A-Za-z0-9][A-Za-z0-9._@-]{0,99}"


class StatisticsName(StringConverter):
    """Of a statistics project: whatever has no slash."""

    regex = "[^/]{1,200}"


class UploadId(StringConverter):
    regex = "[0-9a-f]{32}"


for _name, _converter in {
    "native_key": Key,
    "native_number": Number,
    "native_id": Id,
    "native_checkpoint": CheckpointNumber,
    "native_upload": UploadId,
    "native_cid": CustomerId,
    "native_name": StatisticsName,
}.items():
    register_converter(_converter, _name)


def openapi_view(request: HttpRequest) -> HttpResponse:
    """This API, for machines."""
    if request.method not in ("GET", "HEAD"):
        return respond(request, _not_allowed(request, {"GET", "HEAD"}))
    return HttpResponse(_document(), content_type="application/json")


def nowhere(request: HttpRequest) -> HttpResponse:
    """No such address; or one of the data plane's, asked for by a method that it does not have."""
    allow = openapi.streaming_methods(request.path)
    if allow:
        return respond(request, _not_allowed(request, allow))
    return respond(request, NotFound("there is nothing at this address; see /foedus/v1/openapi.json"))


for _view in (openapi_view, nowhere):
    _view.csrf_exempt = True  # type: ignore[attr-defined] # Django looks for it there; neither changes anything


def _answering(view: View) -> View:
    """What ninja leaves to Django, as a problem: methods that are not there, and errors outside of views."""

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            response = view(request, *args, **kwargs)
        except Exception as exc:  # noqa: BLE001 - the last line before Django's page
            return respond(request, exc)
        if isinstance(response, HttpResponseNotAllowed):
            allow = {*response.headers["Allow"].split(", "), *openapi.streaming_methods(request.path)}
            return respond(request, _not_allowed(request, allow))
        return response

    return answer


def _not_allowed(request: HttpRequest, allow: AbstractSet[str]) -> MethodNotAllowed:
    methods = tuple(sorted(allow))
    text = f"this address answers {', '.join(methods)}, not {str(request.method)[:20]}"
    return MethodNotAllowed(text, allow=methods)


@cache
def _document() -> bytes:
    return rendering.to_json(openapi.document(api))


def _patterns() -> list[URLPattern | URLResolver]:
    patterns, *_ = api.urls
    for pattern in patterns:
        if isinstance(pattern, URLPattern):
            pattern.callback = _answering(pattern.callback)
    return patterns


urlpatterns: list[URLPattern | URLResolver] = [
    path("", (_patterns(), "native", "native")),
    path("openapi.json", openapi_view),
    re_path("", nowhere),
]
