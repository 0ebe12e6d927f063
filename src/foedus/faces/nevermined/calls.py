"""From a request to a use case and back: who asks, by which method, and what went wrong."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, wraps
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from foedus.core.codecs.strict_json import parse
from foedus.core.errors import Invalid, TooLarge
from foedus.core.market.documents import MAX_BYTES, MAX_DEPTH, check_characters
from foedus.faces.nevermined.auth import actor_of_request
from foedus.faces.nevermined.errors import MethodNotAllowed, respond
from foedus.faces.nevermined.limits import MARKET
from foedus.ports import Ports
from foedus.services.shell.authorisation import Actor

View = Callable[..., HttpResponse]


@dataclass(frozen=True)
class Call:
    """A request, and what the server knows of it."""

    request: HttpRequest
    ports: Ports
    actor: Actor
    now: datetime

    @cached_property
    def body(self) -> bytes:
        """Raises TooLarge, before anything is read where the length is announced."""
        self.check_announced(MAX_BYTES)
        raw = self.request.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise TooLarge(f"a body has at most {MAX_BYTES} bytes here")
        if not raw:
            raise Invalid("the body is empty; send a JSON document")
        return raw

    def is_here(self, host: str) -> bool:
        """Whether a host, with its port, is this server."""
        return MARKET.names.has(host, called=self.request.get_host(), port=self.request.get_port())

    def check_announced(self, most: int) -> None:
        """Raise TooLarge for a body that says it has more bytes. Of a form no more is read than was announced."""
        announced = self.request.headers.get("Content-Length", "")
        if announced.isdigit() and int(announced) > most:
            raise TooLarge(f"a body has at most {most} bytes here")

    def fields(self) -> Mapping[str, Any]:
        """The body as an object. Raises Invalid."""
        value = parse(self.body, max_depth=MAX_DEPTH)
        if not isinstance(value, dict):
            raise Invalid("the body is not a JSON object")
        check_characters(value)
        return value

    def optional_fields(self) -> Mapping[str, Any]:
        """The body as an object, where one was sent; else nothing."""
        has_body = self.request.headers.get("Content-Length", "0").strip("0")
        return self.fields() if self.request.content_type == "application/json" and has_body else {}

    def form(self) -> Mapping[str, Any]:
        """Fields of the address and of the body, whether that is a form or JSON; what the body says counts."""
        named = self.request.GET.dict()
        if self.request.content_type == "application/json":
            return {**named, **self.fields()}
        self.check_announced(MAX_BYTES)  # files in a form would go to the disk, whatever they are for
        return {**named, **self.request.POST.dict()}


def endpoint(*, bearer: bool = True, **methods: View) -> View:
    """A Django view of one function a method; ``bearer``: whether a token that is shown is that of a login."""
    allowed = tuple(sorted({name.upper() for name in methods} | ({"HEAD"} if "get" in methods else set())))

    @csrf_exempt  # callers show a token; there are no cookies to be abused
    @wraps(next(iter(methods.values())))
    def view(request: HttpRequest, **arguments: Any) -> HttpResponse:
        try:
            response = _handled(request, arguments, methods, allowed, bearer=bearer)
        except Exception as exc:  # noqa: BLE001 - the last line before Django's page
            response = respond(exc, request.path)
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    return view


@dataclass(frozen=True)
class Route:
    """The paths of one thing that can be asked, and what answers each method there; ``bearer`` as ``endpoint`` has it.

    ``{name}`` in a path stands for an argument of the functions.
    """

    paths: tuple[str, ...]
    methods: Mapping[str, View]
    bearer: bool = True

    @cached_property
    def view(self) -> View:
        return endpoint(bearer=self.bearer, **self.methods)


def answer(value: Any, status: int = 200) -> HttpResponse:
    return JsonResponse(value, status=status, safe=False, json_dumps_params={"ensure_ascii": False})


def answer_text(text: str, status: int = 200) -> HttpResponse:
    """JSON that is written already, as it is."""
    return HttpResponse(text, status=status, content_type="application/json")


def _handled(
    request: HttpRequest,
    arguments: dict[str, Any],
    methods: Mapping[str, View],
    allowed: tuple[str, ...],
    *,
    bearer: bool,
) -> HttpResponse:
    method = str(request.method).lower()
    handler = methods.get("get" if method == "head" else method)
    if handler is None:
        raise MethodNotAllowed(allowed)
    now = timezone.now()
    ports: Ports = request.ports  # type: ignore[attr-defined] # the server's middleware put it there
    actor = actor_of_request(request, ports, now, bearer=bearer)
    named = {name: value for name, value in arguments.items() if value is not None}
    return handler(Call(request, ports, actor, now), **named)
