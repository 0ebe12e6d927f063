"""The native API: its routes, its parser and renderer, and the errors that it answers by."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import NinjaAPI, Router
from ninja.operation import Operation
from ninja.renderers import BaseRenderer
from ninja.security import HttpBearer

from foedus.core.errors import Invalid
from foedus.faces.native.auth import authenticated, client_of
from foedus.faces.native.errors import LengthRequired, respond
from foedus.faces.native.parsing import StrictParser
from foedus.faces.native.rendering import to_json
from foedus.faces.native.views import (
    accounts,
    checkpoints,
    contributions,
    customers,
    participants,
    projects,
    sampling,
    service,
    statistics,
    statistics_models,
)
from foedus.services.shell.authorisation import Actor

VERSION = "1"
_SHOWN = 80


class Bearer(HttpBearer):
    """The only way in. A missing token raises Unauthenticated instead of trying something else."""

    def __call__(self, request: HttpRequest) -> Actor:
        return authenticated(request.headers.get("Authorization"), client_of(request), now=timezone.now())

    def authenticate(self, request: HttpRequest, token: str) -> Actor:
        """What the base class asks for; ``__call__`` does not need it."""
        return authenticated(f"Bearer {token}", client_of(request), now=timezone.now())


class JsonRenderer(BaseRenderer):
    media_type = "application/json"

    def render(self, request: HttpRequest, data: Any, *, response_status: int) -> bytes:  # noqa: ARG002 - ninja's
        return to_json(data)


class NativeAPI(NinjaAPI):
    """Every error, ninja's own included, is answered as a problem."""

    def on_exception(self, request: HttpRequest, exc: Exception | type[Exception]) -> HttpResponse:
        return respond(request, exc if isinstance(exc, Exception) else exc())

    def get_openapi_operation_id(self, operation: Operation) -> str:
        """The view's name: it becomes the method's name in generated clients."""
        return operation.view_func.__name__


def build() -> NativeAPI:
    """The API with all of its routers."""
    routers = (
        service,
        accounts,
        projects,
        sampling,
        participants,
        contributions,
        checkpoints,
        customers,
        statistics,
        statistics_models,
    )
    api = NativeAPI(
        title="foedus",
        version=VERSION,
        description="Federated learning: projects, rounds, updates and checkpoints.",
        openapi_url=None,
        docs_url=None,
        urls_namespace="native",
        auth=Bearer(),
        parser=StrictParser(),
        renderer=JsonRenderer(),
        default_router=Router(),
    )
    api.add_decorator(_checked, mode="view")
    for module in routers:
        api.add_router("", module.router)
    return api


def _checked(run: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Refuse what ninja would pass over: bodies without a length, and words in the query that nobody reads."""
    operation: Any = getattr(run, "__self__", None)
    known = _query_words(operation)

    @wraps(run)
    def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.headers.get("Transfer-Encoding") and not request.headers.get("Content-Length"):
            return respond(request, LengthRequired())
        unknown = [word for word in request.GET if word not in known]
        if unknown:
            listed = ", ".join(sorted(known)) or "none"
            text = f"there is no query parameter {unknown[0][:_SHOWN]!r} here; there are {listed}"
            return respond(request, Invalid(text, field=unknown[0][:_SHOWN]))
        return run(request, *args, **kwargs)

    return checked


def _query_words(operation: Operation) -> frozenset[str]:
    words: set[str] = set()
    for model in operation.models:
        if model.__ninja_param_source__ == "query":
            words.update(model.__ninja_flatten_map__)
    return frozenset(words)


api = build()
