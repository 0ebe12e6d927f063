"""Routes of faces that are on but may never be asked: imported with the first call that may be for them.

Most servers have every face and are asked through one or two. To import the others took most of each start, and memory.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any

from starlette.datastructures import URLPath
from starlette.routing import BaseRoute, Match, NoMatchFound
from starlette.types import Receive, Scope, Send


class LateRoutes(BaseRoute):
    """Stands for the routes that ``load`` gives; addresses begin in one of ``ways``, and in none of ``but_not``."""

    def __init__(self, load: Callable[[], Sequence[BaseRoute]], *ways: str, but_not: tuple[str, ...] = ()) -> None:
        self._load = load
        self._ways = ways
        self._but_not = but_not
        self._loaded: Sequence[BaseRoute] | None = None
        self._loading = threading.Lock()

    @property
    def routes(self) -> Sequence[BaseRoute]:
        with self._loading:
            if self._loaded is None:
                self._loaded = self._load()
            return self._loaded

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As the first of the routes that matches wholly does, or else the first that does in part."""
        if not self.concerns(scope.get("path", "")):
            return Match.NONE, {}
        if self._loaded is None:
            return Match.FULL, {"route": self}
        partial: tuple[Match, Scope] = (Match.NONE, {})
        for route in self.routes:
            match, child = route.matches(scope)
            if match is Match.FULL:
                return match, {**child, "route": route}
            if match is Match.PARTIAL and partial[0] is Match.NONE:
                partial = match, {**child, "route": route}
        return partial

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["route"] is not self:  # but the one that matched
            await scope["route"].handle(scope, receive, send)
            return
        await asyncio.to_thread(lambda: self.routes)  # others are answered meanwhile
        await scope["router"](scope, receive, send)

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        """Nothing is looked up by its name."""
        raise NoMatchFound(name, path_params)

    def concerns(self, path: str) -> bool:
        """Whether the face has to be imported to say whether there is this address."""
        return path.startswith(self._ways) and not path.startswith(self._but_not)
