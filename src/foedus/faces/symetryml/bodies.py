"""Bodies, received whole: never too large, and never from somebody who dawdles for ever."""

import asyncio

from starlette.requests import Request

from foedus.core.errors import Invalid
from foedus.faces.symetryml.errors import BodyTooLarge, Timeout
from foedus.faces.symetryml.limits import Held

IDLE_S = 20.0  # without a byte
START_S = 60.0  # a body may take this long, and besides
SLOWEST_BYTES_PER_S = 16 << 10  # as long as its bytes need at this speed


async def received(request: Request, limit_bytes: int, held: Held) -> bytes:
    """The body. Raises BodyTooLarge before it came if it says so itself, Timeout, Invalid when it was cut."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > limit_bytes:
        raise _too_large(limit_bytes)
    parts: list[bytes] = []
    size = 0
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + START_S
    chunks = aiter(request.stream())
    while True:
        try:
            async with asyncio.timeout_at(min(loop.time() + IDLE_S, ends_at + size / SLOWEST_BYTES_PER_S)):
                chunk = await anext(chunks, None)
        except TimeoutError:
            raise Timeout("the body came too slowly; send it again") from None
        if chunk is None:
            break
        size += len(chunk)
        if size > limit_bytes:
            raise _too_large(limit_bytes)
        held.add(len(chunk))
        parts.append(chunk)
    if announced.isdecimal() and size != int(announced):
        raise Invalid(f"the body was announced with {announced} bytes, and {size} arrived")
    return b"".join(parts)


def _too_large(limit_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"a body has at most {limit_bytes} bytes here; send the rows in several frames", limit_bytes=limit_bytes
    )
