"""Waiting for an aggregate: a request for a newer one is held until there is one, at the cost of no thread.

It stands before Django, which gives every answer, refusals too. Where it does not stand (functions in a cloud), such a
request is answered at once; so clients that get nothing newer ask again.
"""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from typing import Protocol, Self, TypeVar

import structlog
from django.contrib.auth.models import AnonymousUser
from django.core.handlers.asgi import ASGIRequest
from django.db import Error
from django.http import QueryDict
from starlette.types import ASGIApp, Receive, Scope, Send

from foedus.core.errors import PlatformError
from foedus.faces.fma.auth import caller_of
from foedus.faces.fma.errors import BadFields
from foedus.records.aggregation.models import FederatedModel
from foedus.services.aggregation.access import get_readable_model
from foedus.services.aggregation.tree import latest_aggregate
from foedus.services.shell.threads import in_thread

log = structlog.get_logger()
T = TypeVar("T")

MAX_WAIT_S = 60
_ADDRESS = re.compile(r"/api/v1/models/(?P<pk>[0-9]{1,18})/get_latest_aggregate(?:\.json|/)?")
_ID = re.compile(r"[0-9]{1,18}")


class Hub(Protocol):
    """Wakes whoever waits for news of a project. Take the mark, read the state, wait from the mark on."""

    def mark(self) -> int: ...

    async def wait(self, stream: str, since: int, timeout_s: float) -> bool: ...


@dataclass(frozen=True, slots=True)
class Wish:
    """To hear of an aggregate whose id is greater than ``newer_than``, in ``wait_s`` seconds at most."""

    newer_than: int
    wait_s: float

    @classmethod
    def of(cls, query: QueryDict) -> Self:
        """Raises BadFields."""
        newer_than, wait = query.get("newer_than") or "0", query.get("wait") or "0"
        if not _ID.fullmatch(newer_than):
            raise BadFields({"newer_than": ["The id of an aggregate, or 0, is required."]})
        try:
            wait_s = float(wait)
        except ValueError:
            wait_s = -1.0
        if not 0 <= wait_s <= MAX_WAIT_S:  # NaN neither
            raise BadFields({"wait": [f"A number of seconds from 0 to {MAX_WAIT_S} is required."]})
        return cls(int(newer_than), wait_s)

    def is_met(self, model: FederatedModel) -> bool:
        row = latest_aggregate(model)
        return row is not None and row.pk > self.newer_than


class Waiting:
    """Holds requests for a newer aggregate before ``app``. ``news_of``: what to wait for, by a project's stream."""

    def __init__(self, app: ASGIApp, *, news_of: Callable[[str], str]) -> None:
        self._app = app
        self._news_of = news_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = _ADDRESS.fullmatch(scope["path"]) if scope["type"] == "http" and scope["method"] == "GET" else None
        if found is not None and b"wait=" in scope["query_string"]:
            try:
                await self._wait(scope, int(found["pk"]))
            except (PlatformError, Error) as exc:  # Django will say what is wrong
                log.debug("waiting.refused", path=scope["path"], error=type(exc).__name__)
        await self._app(scope, receive, send)

    async def _wait(self, scope: Scope, pk: int) -> None:
        loop, hub = asyncio.get_running_loop(), scope["app"].state.hub
        request = ASGIRequest(dict(scope), BytesIO())
        wish = Wish.of(request.GET)
        ends_at = loop.time() + wish.wait_s
        model = await in_thread(lambda: _readable(request, pk))
        news = self._news_of(model.project.stream)
        while (left_s := ends_at - loop.time()) > 0:
            mark = hub.mark()
            if await in_thread(lambda: wish.is_met(model)) or not await hub.wait(news, mark, left_s):
                return


def _readable(request: ASGIRequest, pk: int) -> FederatedModel:
    """The model, with its project, for whoever asks by headers; who has but a session is answered at once."""
    request.user = AnonymousUser()
    model = get_readable_model(caller_of(request, now=datetime.now(UTC)), pk)
    model.project  # noqa: B018 - loaded here, where it may block
    return model
