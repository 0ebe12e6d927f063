"""A TCP proxy that behaves as badly as told: it delays, cuts, resets and swallows. Loopback only."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Iterator, Sequence

_CHUNK = 1 << 16
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: leave without a farewell


class Proxy:
    """Takes connections on ``port`` and leads each to the first of ``targets`` (ports) that accepts one.

    ``delay_s``   how long every piece is held back
    ``shut``      whoever connects is reset at once
    ``silent``    connections are taken, and nothing is carried on
    ``carried``   bytes that each connection brought back, in the order of their coming
    ``at_once``   how many connections there were at the same time, at most
    """

    def __init__(self, targets: Sequence[int]) -> None:
        self.targets = list(targets)
        self.delay_s = 0.0
        self.shut = self.silent = False
        self.carried: list[int] = []
        self.at_once = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._carrying: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True)
        self._thread.start()

    def reset(self) -> None:
        """Reset every connection there is."""
        asyncio.run_coroutine_threadsafe(self._reset_all(), self._loop).result(10)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._accept, sock=self._listener)
        await self._stop.wait()
        server.close()
        await self._reset_all()
        for task in tuple(self._carrying):
            task.cancel()
        await asyncio.gather(*self._carrying, return_exceptions=True)

    async def _reset_all(self) -> None:
        for writer in tuple(self._writers):
            _reset(writer)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._carry(reader, writer))
        self._carrying.add(task)
        task.add_done_callback(self._carrying.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.shut:
            _reset(writer)
            return
        there = await self._reach()
        if there is None:
            _reset(writer)
            return
        ends = {writer, there[1]}
        self._writers |= ends
        self.at_once = max(self.at_once, len(self._writers) // 2)
        self.carried.append(0)
        try:
            back = self._pump(there[0], writer, len(self.carried) - 1)
            await asyncio.gather(self._pump(reader, there[1]), back)
        except OSError:
            pass  # one side is gone, so the other one goes as well
        finally:
            self._writers -= ends
            for end in ends:
                _reset(end)

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        for port in self.targets:
            with contextlib.suppress(OSError):
                return await asyncio.open_connection("127.0.0.1", port)
        return None

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, counted: int | None = None
    ) -> None:
        while data := await reader.read(_CHUNK):
            if counted is not None:
                self.carried[counted] += len(data)
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            while self.silent:  # noqa: ASYNC110 - told from another thread, which events do not like
                await asyncio.sleep(0.02)
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


@contextlib.contextmanager
def proxy(*targets: int) -> Iterator[Proxy]:
    made = Proxy(targets)
    try:
        yield made
    finally:
        made.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
