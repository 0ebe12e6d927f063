"""Asynchronous drivers, called by code that is not: a loop that runs while something is called, and no longer."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from typing import Any, Self, TypeVar

from foedus.connectors.internet import Guard
from foedus.core.errors import PlatformError

T = TypeVar("T")


class Loop:
    """``translated`` turns what the driver raises into errors of ours."""

    def __init__(
        self, timeout_s: float, translated: Callable[[], AbstractContextManager[None]],
        factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
    ) -> None:  # fmt: skip
        self._runner = asyncio.Runner(loop_factory=factory)
        self._timeout_s = timeout_s
        self._translated = translated

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._runner.close()  # ends what is still under way

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        with self._translated():
            return self._runner.run(_within(self._timeout_s, coroutine))


class GuardedLoop(asyncio.SelectorEventLoop):
    """Connects only to where the guard permits, also when a driver follows the addresses that a server tells it.

    ``refused`` is why a connection was not made: drivers take that for a server that is away.
    """

    def __init__(self, guard: Guard) -> None:
        super().__init__()
        self._guard = guard
        self.refused: PlatformError | None = None

    async def create_connection(  # type: ignore[override]  # as drivers call it
        self, protocol_factory: Any, host: str, port: int, *, ssl: Any = None, **more: Any
    ) -> Any:
        """To the address that was checked; a certificate is still checked against the name."""
        try:
            *others, last = await self.run_in_executor(None, self._guard.checked, host, port)
        except PlatformError as exc:
            self.refused = exc
            raise ConnectionRefusedError(exc.message) from None
        named = {**more, "server_hostname": more.get("server_hostname") or host} if ssl else more
        for address in others:
            try:
                return await super().create_connection(protocol_factory, str(address), port, ssl=ssl, **named)
            except OSError:
                continue
        return await super().create_connection(protocol_factory, str(last), port, ssl=ssl, **named)


async def _within(seconds: float, coroutine: Coroutine[Any, Any, T]) -> T:
    async with asyncio.timeout(seconds):
        return await coroutine
