"""Bodies for Django: received whole before a thread is taken, so that whoever dawdles keeps nobody else waiting."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any

from anyio.to_thread import run_sync
from starlette.types import Message, Receive, Scope, Send

from foedus.core.errors import PlatformError, TooLarge, Unavailable
from foedus.faces.native.errors import Malformed, Timeout
from foedus.faces.native.streaming.bodies import IDLE_S
from foedus.faces.native.streaming.calls import answer_to
from foedus.server.middleware import header, sends_body

MEMORY_BYTES = 1 << 20  # of one body; what is larger goes to a file
_PIECE_BYTES = 1 << 20
_MAX_HELD_BYTES = 256 << 20  # of all bodies in memory
_MAX_FILES = 64
_START_S = 60.0  # a body may take this long, and besides
_SLOWEST_BYTES_PER_S = 16 << 10  # as long as its bytes need at this speed


class Threaded:
    """Hands requests to a2wsgi once their body is here. ``large`` says how many bytes a path beginning so may send."""

    def __init__(self, app: Any, *, large: Mapping[str, int], idle_s: float = IDLE_S) -> None:
        self._app = app
        self._large = large
        self._idle_s = idle_s
        self._held = 0
        self._files = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sent(message: Message) -> None:  # a2wsgi wants coroutines, and granian gives other awaitables
            await send(message)

        body = _Body(scope["app"].state.ports.scratch)
        try:
            if sends_body(scope) and not await self._receive(scope, receive, body):
                return
            await self._app(_unambiguous(scope), body.message, sent)
        except PlatformError as exc:
            await answer_to(exc, scope["path"])(scope, receive, send)
        finally:
            self._forget(body)

    async def _receive(self, scope: Scope, receive: Receive, body: "_Body") -> bool:
        """Whether the body came; raises Timeout, TooLarge, Malformed, Unavailable."""
        limit = self._limit(scope["path"])
        announced = header(scope, b"content-length")
        if announced.isdecimal() and int(announced[:20]) > limit:
            raise _too_large(limit)
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + _START_S
        more = True
        while more:
            try:
                async with asyncio.timeout_at(
                    min(loop.time() + self._idle_s, ends_at + body.size / _SLOWEST_BYTES_PER_S)
                ):
                    message = await receive()
            except TimeoutError:
                raise Timeout from None
            if message["type"] != "http.request":
                return False  # the client is gone
            more = message.get("more_body", False)
            await self._add(body, message.get("body", b""), limit)
        if announced.isdecimal() and body.size != int(announced):
            raise Malformed(f"the body was announced with {announced} bytes, and {body.size} arrived")
        body.rewind()
        return True

    async def _add(self, body: "_Body", piece: bytes, limit: int) -> None:
        size = body.size + len(piece)
        if size > limit:
            raise _too_large(limit)
        if size <= MEMORY_BYTES:
            if self._held + len(piece) > _MAX_HELD_BYTES:
                raise Unavailable("too many bodies are on their way; try again in a moment")
            self._held += len(piece)
        elif body.held_bytes == body.size:  # the piece that makes it a file
            if self._files >= _MAX_FILES:
                raise Unavailable("too many large bodies are on their way; try again in a moment")
            self._files += 1
            body.is_file = True
        await body.add(piece)

    def _forget(self, body: "_Body") -> None:
        self._held -= body.held_bytes
        self._files -= body.is_file
        body.close()

    def _limit(self, path: str) -> int:
        return max((limit for prefix, limit in self._large.items() if path.startswith(prefix)), default=MEMORY_BYTES)


class _Body:
    """The bytes of one request, as ASGI messages: in memory while they are few, then in a file without a name."""

    def __init__(self, scratch: Path) -> None:
        self._file = SpooledTemporaryFile(max_size=MEMORY_BYTES, dir=str(scratch))  # noqa: SIM115 - closed by close()
        self._left = 0
        self.size = 0
        self.held_bytes = 0  # what it was counted with while it was in memory
        self.is_file = False

    async def add(self, piece: bytes) -> None:
        self.size += len(piece)
        if self.is_file:
            await run_sync(self._file.write, piece)
        else:
            self.held_bytes += len(piece)
            self._file.write(piece)

    def rewind(self) -> None:
        self._file.seek(0)
        self._left = self.size

    async def message(self) -> Message:
        piece = await run_sync(self._file.read, _PIECE_BYTES) if self.is_file else self._file.read(_PIECE_BYTES)
        self._left -= len(piece)
        return {"type": "http.request", "body": piece, "more_body": self._left > 0}

    def close(self) -> None:
        self._file.close()


def _unambiguous(scope: Scope) -> Scope:
    """Without headers whose names hold an underscore: WSGI cannot tell CLIENT_UUID from CLIENT-UUID.

    Whoever checks or strips one on its way here may not know of the other.
    """
    if not any(b"_" in name for name, _ in scope["headers"]):
        return scope
    return {**scope, "headers": [(name, value) for name, value in scope["headers"] if b"_" not in name]}


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body is larger than the {limit} bytes that are allowed here", limit_bytes=limit)
