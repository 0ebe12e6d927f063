"""Large bodies: checked as far as their headers tell, then streamed to a scratch file, unpacked and hashed."""

import asyncio
import base64
import binascii
import re
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request

from foedus.core.errors import Invalid, QuotaExceeded, TooLarge
from foedus.faces.native.errors import LengthRequired, Malformed, Timeout, UnsupportedMediaType
from foedus.faces.native.streaming.crowds import LARGEST_BYTES, Crowd, Room
from foedus.services.shell.staging import Held, Staged, Staging, held
from foedus.services.shell.threads import in_thread

T = TypeVar("T")
SAFETENSORS = "application/vnd.safetensors"
IDLE_S = 20.0  # without a byte
MAX_IN_FLIGHT = 32  # bodies of one actor in this process: more than repetitions in good faith, less than a disk
_DIGEST = re.compile(r"sha-256=:([A-Za-z0-9+/]{43}=):")


class Body:
    """A request's body, not read yet. Raises TooLarge, LengthRequired, UnsupportedMediaType, Invalid right away."""

    def __init__(self, request: Request, media_type: str, limit_bytes: int) -> None:
        found = request.headers.get("content-type", "").split(";")[0].strip().lower()
        if found != media_type:
            raise UnsupportedMediaType(f"Content-Type must be {media_type}, not {found[:80] or 'missing'}")
        self._request = request
        self._limit = limit_bytes
        self._gzip = _is_gzip(request)
        self._check_length()

    async def then(
        self, scratch: Callable[[], Staging], use: Callable[[Staged], T], digest: str | None, *, keep_cut: bool = False
    ) -> T:
        """Receive the body and call ``use`` with it, in a thread; the scratch file is gone afterwards.

        ``keep_cut`` uses what had arrived when the client vanished, or fell silent, before saying so. Raises
        ClientDisconnect unless that was kept; Timeout in any case; QuotaExceeded for too many bodies at once.
        """
        with _in_flight(self._request):
            return await self._then(scratch, use, digest, keep_cut=keep_cut)

    async def held(self, digest: str | None, use: Callable[[Held], Awaitable[T]]) -> T:
        """Receive a small body into memory and ``use`` it. Raises as ``then`` does."""
        with _in_flight(self._request):
            return await use(held(await self._whole(), digest))

    async def held_then(self, use: Callable[[Held], T], digest: str | None) -> T:
        """The same for one that ``fits_memory``; it is hashed and used in a thread."""
        with _in_flight(self._request), _room.taken(_announced(self._request) or 0):
            received = await self._whole()
            return await in_thread(lambda: use(held(received, digest)))

    @property
    def fits_memory(self) -> bool:
        """Whether there is room for the whole of it now."""
        size = _announced(self._request)
        return size is not None and _room.has(size)

    async def _whole(self) -> bytes:
        """Raises ClientDisconnect, Timeout."""
        now = asyncio.get_running_loop().time
        chunks = []
        try:
            async with asyncio.timeout(IDLE_S) as silence:
                async for chunk in self._request.stream():
                    if chunk:
                        chunks.append(chunk)
                        silence.reschedule(now() + IDLE_S)
        except TimeoutError:
            raise _silent() from None
        received = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        self._check_received(len(received))
        return received

    async def _then(
        self, scratch: Callable[[], Staging], use: Callable[[Staged], T], digest: str | None, *, keep_cut: bool
    ) -> T:
        arriving = _Arriving(scratch, _Unpacker() if self._gzip else None)
        try:
            rest = b""
            received = 0
            silence: Timeout | None = None
            try:
                async for piece in _pieces(self._request):
                    if rest:
                        await in_thread(arriving.write, rest)
                    rest = piece
                    received += len(piece)
            except (ClientDisconnect, Timeout) as exc:
                if not keep_cut:
                    raise
                silence = exc if isinstance(exc, Timeout) else None
            else:
                self._check_received(received)
            # The last piece, which of most bodies is all, takes one thread for everything.
            result: T = await in_thread(arriving.finish, rest, use, digest)
        except BaseException:
            await in_thread(arriving.close)
            raise
        if silence is not None:
            raise silence
        return result

    def _check_length(self) -> None:
        length = self._request.headers.get("content-length")
        if length is None:
            if "chunked" not in self._request.headers.get("transfer-encoding", "") and not _is_http2(self._request):
                raise LengthRequired("send Content-Length or a chunked body")
            return
        if not (length.isascii() and length.isdecimal()):
            raise Malformed(f"Content-Length must be a number, not {length[:40]!r}")
        if int(length[:20]) > self._limit:
            raise TooLarge(
                f"the body has {length} bytes; at most {self._limit} are allowed here", limit_bytes=self._limit
            )

    def _check_received(self, received: int) -> None:
        """A server may hand over less than was announced without a word when the connection ends."""
        announced = self._request.headers.get("content-length")
        if announced is not None and received != int(announced):
            raise Malformed(f"the body was announced with {announced} bytes, and {received} arrived")


def is_small(request: Request, limit_bytes: int) -> bool:
    """Whether a body is announced, not packed, with at most that many bytes."""
    size = _announced(request)
    return size is not None and size <= limit_bytes


def _announced(request: Request) -> int | None:
    """How many bytes a body will have, where it comes as it is."""
    length = request.headers.get("content-length", "")
    plain = "content-encoding" not in request.headers
    return int(length[:20]) if plain and length.isascii() and length.isdecimal() else None


def digest_in(request: Request, *, required: bool) -> str | None:
    """The SHA-256 (hex) in ``Content-Digest``. Raises Invalid if it is malformed, or missing though required."""
    text = request.headers.get("content-digest")
    if text is None:
        if required:
            raise Invalid("the header Content-Digest: sha-256=:<base64>: is missing", field="Content-Digest")
        return None
    match = _DIGEST.search(text)
    try:
        return base64.b64decode(match.group(1), validate=True).hex() if match else _malformed(text)
    except binascii.Error:
        return _malformed(text)


def _malformed(text: str) -> str:
    raise Invalid(f"Content-Digest must be sha-256=:<base64>:, not {text[:60]!r}", field="Content-Digest")


def _is_gzip(request: Request) -> bool:
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("identity", "gzip"):
        raise UnsupportedMediaType(f"Content-Encoding {coding[:40]!r} is not known here; use gzip or none")
    return coding == "gzip"


def _is_http2(request: Request) -> bool:
    return str(request.scope.get("http_version", "1.1")).startswith("2")


async def _pieces(request: Request) -> AsyncIterator[bytes]:
    """The body in pieces for a thread each. Raises ClientDisconnect, Timeout after all that arrived."""
    parts: list[bytes] = []
    size = 0
    cut: ClientDisconnect | Timeout | None = None
    chunks = aiter(request.stream())
    try:
        while (chunk := await _next(chunks)) is not None:
            parts.append(chunk)
            size += len(chunk)
            if size >= _senders.piece_bytes():
                yield b"".join(parts)
                parts, size = [], 0
    except (ClientDisconnect, Timeout) as exc:
        cut = exc
    if size:
        yield b"".join(parts)
    if cut is not None:
        raise cut


async def _next(chunks: AsyncIterator[bytes]) -> bytes | None:
    try:
        async with asyncio.timeout(IDLE_S):
            return await anext(chunks, None)
    except TimeoutError:
        raise _silent() from None


def _silent() -> Timeout:
    return Timeout(f"no byte of the body came for {IDLE_S:g} s; send it again")


_bodies: Counter[str] = Counter()  # of each actor who sends any; only the event loop touches it
_senders = Crowd()
_room = Room()


@contextmanager
def _in_flight(request: Request) -> Iterator[None]:
    """Count this body as its sender's. Raises QuotaExceeded when there are too many."""
    actor = request.state.actor
    who = f"{actor.kind}:{actor.id}"
    if _bodies[who] >= MAX_IN_FLIGHT:
        raise QuotaExceeded(f"{MAX_IN_FLIGHT} bodies of yours are on their way; send the next after one of them")
    _bodies[who] += 1
    try:
        with _senders.joined():
            yield
    finally:
        _bodies[who] -= 1
        if not _bodies[who]:
            del _bodies[who]


class _Unpacker:
    """Unpacks gzip in steps of at most LARGEST_BYTES, so that a bomb is refused before it unfolds."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(wbits=31)

    def write(self, data: bytes, staging: Staging) -> None:
        while data:
            if self._stream.eof:
                raise Malformed("there is something behind the end of the gzip stream")
            try:
                plain = self._stream.decompress(data, LARGEST_BYTES)
            except zlib.error as exc:
                raise Malformed(f"the body is not valid gzip: {exc}") from exc
            staging.write(plain)
            data = self._stream.unconsumed_tail or self._stream.unused_data

    def finish(self) -> None:
        if not self._stream.eof:
            raise Malformed("the gzip stream is cut short")


class _Arriving:
    """A body on its way to a scratch file, which is made with the first bytes."""

    def __init__(self, scratch: Callable[[], Staging], unpack: _Unpacker | None) -> None:
        self._scratch = scratch
        self._unpack = unpack
        self._staging: Staging | None = None

    def write(self, data: bytes) -> None:
        staging = self._staging = self._staging or self._scratch()
        if self._unpack is None:
            staging.write(data)
        else:
            self._unpack.write(data, staging)

    def finish(self, rest: bytes, use: Callable[[Staged], T], digest: str | None) -> T:
        """Take the last of it, hand all of it to ``use``, and remove what that left."""
        self.write(rest)
        assert self._staging is not None, "write made it"  # noqa: S101
        with self._staging as staging:
            if self._unpack is not None:
                self._unpack.finish()
            return use(staging.finish(digest))

    def close(self) -> None:
        if self._staging is not None:
            self._staging.close()
