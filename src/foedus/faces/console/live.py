"""Pages that follow what happens: what is in a page, sent again whenever it has changed, as server-sent events.

Who looks is asked for anew with every look, so that a page ends with the session or with the right to see it.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.sessions.backends.db import SessionStore
from django.db import close_old_connections
from django.http import QueryDict
from django.urls import Resolver404, resolve
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from foedus.core.errors import PlatformError
from foedus.faces.console.structure import View
from foedus.faces.console.views import look_of, render

PREFIX = "/console/"
LIVE = "/console/live"
PAUSE_S = 2.0  # between two looks, unless something happens
LEAST_S = 0.25  # also then
KEEP_ALIVE_S = 15.0
MAX_VIEWERS = 100  # of one process
_MAX_PATH = 2000


class Viewers:
    """How many follow a page; only the event loop touches it."""

    def __init__(self) -> None:
        self.count = 0


VIEWERS = Viewers()


@dataclass(frozen=True, slots=True)
class Seen:
    """A page's content, and the stream that may change it."""

    content: str
    wakes: str


async def live(request: Request) -> Response:
    """The page that ``path`` names, followed."""
    found = _page(request.query_params.get("path", ""))
    if found is None:
        return PlainTextResponse("there is no such page\n", 404)
    if VIEWERS.count >= MAX_VIEWERS:
        return PlainTextResponse("too many follow a page already\n", 503, {"Retry-After": "30"})
    if await _seen(request, found) is None:
        return PlainTextResponse("sign in first\n", 403)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_events(request, found), media_type="text/event-stream", headers=headers)


@dataclass(frozen=True, slots=True)
class _Page:
    view: View
    named: dict[str, Any]
    query: QueryDict


def _page(path: str) -> _Page | None:
    address, _, query = path.partition("?")
    try:
        match = resolve(address) if address.startswith(PREFIX) and len(path) <= _MAX_PATH else None
    except Resolver404:
        return None
    view = getattr(match.func, "view", None) if match is not None else None
    if match is None or view is None or not view.follows:
        return None
    return _Page(view, match.kwargs, QueryDict(query))


async def _events(request: Request, found: _Page) -> AsyncIterator[str]:
    hub = request.app.state.hub
    loop = asyncio.get_running_loop()
    VIEWERS.count += 1
    try:
        latest, told_at = "", loop.time()
        while not hub.is_closed():
            mark = hub.mark()
            seen = await _seen(request, found)
            if seen is None:
                yield "event: gone\ndata: \n\n"
                return
            if seen.content != latest:
                latest, told_at = seen.content, loop.time()
                yield f"event: page\ndata: {json.dumps(latest)}\n\n"
            elif loop.time() - told_at > KEEP_ALIVE_S:
                told_at = loop.time()
                yield ": still here\n\n"
            await asyncio.sleep(LEAST_S)
            await hub.wait(seen.wakes, mark, PAUSE_S - LEAST_S)
    finally:
        VIEWERS.count -= 1


async def _seen(request: Request, found: _Page) -> Seen | None:
    """None once whoever looks may no longer, or the page is gone."""
    return await run_in_threadpool(_look, request, found)


def _look(request: Request, found: _Page) -> Seen | None:
    close_old_connections()
    try:
        session = SessionStore(request.cookies.get(settings.SESSION_COOKIE_NAME) or None)
        who = SimpleNamespace(session=session)
        user: Any = get_user(who)  # type: ignore[arg-type]  # all that it reads of a request is the session
        if not user.is_authenticated:
            return None
        look = look_of(SimpleNamespace(user=user, ports=request.app.state.ports, GET=found.query))
        context = found.view.read(look, **found.named)
        return Seen(render(found.view, context), str(context.get("wakes", "")))
    except PlatformError:
        return None
    finally:
        close_old_connections()


ROUTES: tuple[BaseRoute, ...] = (Route(LIVE, live, methods=["GET"]),)
