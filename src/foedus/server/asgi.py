"""The web process: one ASGI application that streams by itself and hands everything else to Django."""

import contextlib
import os
from collections.abc import AsyncIterator, Sequence
from typing import Any

import anyio.to_thread
from a2wsgi import WSGIMiddleware
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp

from foedus.core.symetryml.sign_in import SignInOptions, SignInPolicy
from foedus.server.late import LateRoutes

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "foedus.server.settings")

_LARGE = ("/api/v1/", "/admin/")  # where Django takes models and files; elsewhere bodies are small


class Application(Starlette):
    """Starlette without its outermost layer: ``Summary`` answers what nobody caught."""

    def build_middleware_stack(self) -> ASGIApp:
        app: ASGIApp = ExceptionMiddleware(self.router, handlers=self.exception_handlers)
        for make, args, kwargs in reversed(self.user_middleware):
            app = make(app, *args, **kwargs)
        return app


def application(plane: str = "both") -> Starlette:
    """The server: ``both`` planes, or only ``data`` (what waits or streams)."""
    from django.core.wsgi import get_wsgi_application

    django_app: Any = get_wsgi_application()
    from django.conf import settings as django_settings

    from foedus import bootstrap
    from foedus.faces.fma.waiting import Waiting
    from foedus.faces.native.streaming.calls import refusal
    from foedus.faces.native.streaming.hub import work_of
    from foedus.server.metrics import metrics
    from foedus.server.middleware import Draining, HostCheck, Summary
    from foedus.server.receiving import Threaded
    from foedus.services.aggregation.incoming import MAX_DOCUMENT_BYTES

    options = bootstrap.settings()
    routes: list[BaseRoute] = [
        *(route for face in options.faces for route in _streaming(face)),
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/metrics", metrics, methods=["GET"]),
    ]
    if plane == "both":
        wsgi = WSGIMiddleware(django_app, workers=options.threads)
        largest = min(options.max_model_bytes, MAX_DOCUMENT_BYTES)
        django: ASGIApp = Threaded(wsgi, large=dict.fromkeys(_LARGE, largest))
        routes.append(Mount("/", Waiting(django, news_of=work_of) if "fma" in options.faces else django))
    app = Application(
        routes=routes,
        middleware=[
            Middleware(Summary),
            Middleware(Draining),
            Middleware(HostCheck, hosts=django_settings.ALLOWED_HOSTS),
        ],
        lifespan=_lifespan,
        exception_handlers={404: refusal, 405: refusal},
    )
    app.router.redirect_slashes = False
    app.state.max_model_bytes = options.max_model_bytes
    app.state.max_frame_bytes = options.max_frame_bytes
    policy = SignInPolicy(
        claim=options.oidc_claim, create=options.oidc_create, organisation=options.oidc_organisation or None
    )
    app.state.sign_in = SignInOptions(policy, options.oidc_callback, options.oidc_after_sign_out)
    app.state.let_go = lambda: None
    return app


def _streaming(face: str) -> Sequence[BaseRoute]:
    """What waits or streams. What every participant asks is there from the start; all else comes when it is asked."""

    def flaas() -> Sequence[BaseRoute]:
        from foedus.faces.flaas import streaming

        return streaming.ROUTES

    def statistics() -> Sequence[BaseRoute]:
        from foedus.faces.native.streaming import statistics

        return statistics.ROUTES

    def symetryml() -> Sequence[BaseRoute]:
        from foedus.faces.symetryml import routes

        return routes.ROUTES

    def console() -> Sequence[BaseRoute]:
        from foedus.faces.console import live

        return live.ROUTES

    match face:
        case "native":
            from foedus.faces.native.streaming import routes as native

            return [*native.ROUTES, LateRoutes(statistics, "/foedus/v1/statistics/")]
        case "flaas":
            return [LateRoutes(flaas, "/api/", but_not=("/api/v1/",))]
        case "symetryml":
            return [LateRoutes(symetryml, "/symetry/", "/smlaccess")]
        case "console":
            return [LateRoutes(console, "/console/live")]
    return []


@contextlib.asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    from foedus import bootstrap
    from foedus.faces.native.streaming.batches import known
    from foedus.faces.native.streaming.downloads import models
    from foedus.faces.native.streaming.hub import Hub
    from foedus.faces.native.streaming.models import hand_ins
    from foedus.faces.native.streaming.tasks import signs, tasks

    anyio.to_thread.current_default_thread_limiter().total_tokens = bootstrap.settings().threads
    app.state.ports = bootstrap.ports()
    app.state.hub = Hub(app.state.ports.bus)
    app.state.tasks = tasks(app.state.ports, app.state.hub)
    app.state.signs = signs()
    app.state.known = known()
    app.state.models = models(app.state.ports)
    app.state.hand_ins = hand_ins(app.state.ports)
    app.state.let_go = app.state.hub.close
    yield
    app.state.hub.close()
    app.state.ports.bus.close()


async def healthz(request: Request) -> Response:  # noqa: ARG001
    """The process is alive."""
    return PlainTextResponse("ok\n")


async def readyz(request: Request) -> Response:
    """The database and the connectors answer."""
    from foedus.services.shell.readiness import check
    from foedus.services.shell.threads import in_thread

    problems = await in_thread(check, request.app.state.ports)
    return JSONResponse({"ready": not problems, "problems": problems}, status_code=503 if problems else 200)
