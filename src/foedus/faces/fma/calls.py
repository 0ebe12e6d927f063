"""From a request to a use case and back: who asks, by which method, and what went wrong."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from foedus.core.errors import NotFound
from foedus.faces.fma.addresses import Addresses
from foedus.faces.fma.auth import caller_of
from foedus.faces.fma.errors import MethodNotAllowed, respond
from foedus.faces.fma.origins import ORIGINS
from foedus.faces.fma.rendering import answer
from foedus.ports import Ports
from foedus.services.aggregation.access import ANYBODY, Caller, require_known

View = Callable[..., HttpResponseBase]
_FORMATS = ("", "json", "api")  # the second is answered as JSON, too: there are no pages here


@dataclass(frozen=True, slots=True)
class Call:
    """A request, and what the server knows of it."""

    request: HttpRequest
    ports: Ports
    caller: Caller
    now: datetime

    @property
    def addresses(self) -> Addresses:
        return Addresses(self.request, self.ports, self.now)


def endpoint(*, public: bool = False, **methods: View) -> View:
    """A Django view of one function a method. ``public``: credentials are not looked at."""
    allowed = tuple(
        sorted({name.upper() for name in methods} | {"OPTIONS"} | ({"HEAD"} if "get" in methods else set()))
    )

    @csrf_exempt  # sessions are checked with the credentials; other callers have no cookies to be abused
    @wraps(next(iter(methods.values())))
    def view(request: HttpRequest, **arguments: Any) -> HttpResponseBase:
        try:
            response = _handled(request, arguments, methods, allowed, public=public)
        except Exception as exc:  # noqa: BLE001 - the last line before Django's page
            response = respond(exc, request.path)
        response.headers.setdefault("Allow", ", ".join(allowed))
        response.headers["Vary"] = "Accept, Cookie, Authorization, CLIENT-UUID, Origin"
        response.headers.setdefault("Cache-Control", "private, no-cache")
        ORIGINS.admit(request, response)
        return response

    return view


def _handled(
    request: HttpRequest,
    arguments: dict[str, Any],
    methods: Mapping[str, View],
    allowed: tuple[str, ...],
    *,
    public: bool,
) -> HttpResponseBase:
    now = timezone.now()
    caller = ANYBODY if public else caller_of(request, now=now)
    if request.GET.get("format", "") not in _FORMATS:
        raise NotFound
    method = str(request.method).lower()
    if method == "options":
        return answer({"name": "foedus", "allow": allowed})
    handler = methods.get("get" if method == "head" else method)
    if handler is None:
        if not public:
            require_known(caller)
        raise MethodNotAllowed(str(request.method), allowed)
    ports: Ports = request.ports  # type: ignore[attr-defined] # the server's middleware put it there
    return handler(Call(request, ports, caller, now), **arguments)
