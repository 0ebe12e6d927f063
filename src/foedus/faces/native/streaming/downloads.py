"""Models on their way out, whole or a range of them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from foedus.core.errors import Invalid, NotFound
from foedus.faces.native.errors import RangeNotSatisfiable
from foedus.faces.native.streaming.batches import Asked, Batches, asked, of_actors
from foedus.faces.native.streaming.bodies import SAFETENSORS
from foedus.faces.native.streaming.calls import answering, as_actor, key_in, ports_of
from foedus.faces.native.streaming.crowds import LARGEST_BYTES, Crowd
from foedus.ports import Ports
from foedus.records.learning.models import Checkpoint
from foedus.services.learning.checkpoints import Wanted, read_checkpoints
from foedus.services.learning.equipment import KeptState, read_state
from foedus.services.shell.authorisation import Actor

_readers = Crowd()
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class Fetch:
    """A checkpoint by number (None: the latest, or the ``best``), and the request, which says which part of it."""

    request: Request
    key: str
    number: int | None
    best: bool

    @classmethod
    def read(cls, request: Request) -> "Fetch":
        name = request.path_params["number"]
        return cls(request, key_in(request), None if name == "best" else _number(name), name == "best")


Models = Batches[Asked[Fetch], Response]
MODELS_AT_ONCE = 64


def models(ports: Ports) -> Models:
    """Where checkpoints are read: those who begin a round all want the same one."""
    return Batches(of_actors(partial(_answers, ports)), at_once=MODELS_AT_ONCE, key=lambda one: one.question.key)


def _answers(ports: Ports, fetches: Sequence[tuple[Actor, Fetch]]) -> list[Response | Exception]:
    wanted = [Wanted(actor, fetch.key, fetch.number, fetch.best) for actor, fetch in fetches]
    bodies = _Bodies(ports, len(fetches))
    return [
        found if isinstance(found, Exception) else _tried(fetch.request, found, bodies)
        for (_, fetch), found in zip(fetches, read_checkpoints(wanted), strict=True)
    ]


def _tried(request: Request, found: Checkpoint, bodies: "_Bodies") -> Response | Exception:
    """What is wrong with one range, or one blob, does not concern the others."""
    if not found.blob:
        text = f"the project's retention has dropped the bytes of checkpoint {found.number}"
        return NotFound(text, checkpoint=found.number)
    try:
        return _stored(request, found, bodies)
    except Exception as exc:  # noqa: BLE001 - its asker is told
        return exc


class _Bodies:
    """Bytes of blobs for so many ``askers``: small ones read once for all who are answered together."""

    def __init__(self, ports: Ports, askers: int = 1) -> None:
        self._blobs = ports.blobs
        self._askers = askers
        self._whole: dict[str, bytes] = {}

    def whole(self, blob: str) -> bytes:
        if blob not in self._whole:
            self._whole[blob] = b"".join(self._blobs.read(blob))
        return self._whole[blob]

    def part(self, blob: str, start: int, stop: int) -> Iterator[bytes]:
        return self._blobs.read(blob, start, stop, chunk_bytes=_readers.piece_bytes(self._askers))


class _Large(StreamingResponse):
    """One that takes a while, and so counts among those that share memory."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with _readers.joined():
            await super().__call__(scope, receive, send)


@answering
async def get_model_view(request: Request) -> Response:
    """A checkpoint's bytes, whole or a range of them."""
    models: Models = request.app.state.models
    return await models.ask(await asked(request, Fetch.read))


@answering
async def get_state_view(request: Request) -> Response:
    """What the strategy sends along with a checkpoint, whole or a range of it."""
    return await as_actor(
        request,
        lambda actor: _stored(
            request,
            read_state(ports_of(request), actor, key_in(request), _number(request.path_params["number"])),
            _Bodies(ports_of(request)),
        ),
    )


def _stored(request: Request, found: Checkpoint | KeptState, bodies: _Bodies) -> Response:
    """The bytes of a blob, as its digest, the ranges and the method allow."""
    etag = f'"{found.digest}"'
    headers = {"ETag": etag, "Accept-Ranges": "bytes", "Cache-Control": "private, no-cache"}
    if _is_known(request, etag):
        return Response(status_code=304, headers=headers)
    size = found.size_bytes
    wanted = _range(request, etag, size)
    start, stop = wanted or (0, size)
    headers["Content-Length"] = str(stop - start)
    if wanted is not None:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    status = 200 if wanted is None else 206
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=SAFETENSORS)
    if stop - start > LARGEST_BYTES:  # not worth another thread for each piece of less
        return _Large(bodies.part(found.blob, start, stop), status_code=status, headers=headers, media_type=SAFETENSORS)
    body = bodies.whole(found.blob) if wanted is None else b"".join(bodies.part(found.blob, start, stop))
    return Response(body, status_code=status, headers=headers, media_type=SAFETENSORS)


def _number(text: str) -> int | None:
    if text == "latest":
        return None
    if not (text.isascii() and text.isdecimal()) or len(text) > 9:
        raise Invalid("a checkpoint is named by its number, by latest or by best", field="number")
    return int(text)


def _is_known(request: Request, etag: str) -> bool:
    """Whether the client says that it has this very model already."""
    known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    return "*" in known or etag in known


def _range(request: Request, etag: str, size: int) -> tuple[int, int] | None:
    """The first byte asked for and the one after the last; None for everything.

    As RFC 9110 has it, that is also the answer to units that we do not know, to several ranges, to a range of another
    model (``If-Range``), and to HEAD. Raises RangeNotSatisfiable.
    """
    text = request.headers.get("range", "").replace(" ", "").lower()
    is_ours = text.startswith("bytes=") and "," not in text and request.headers.get("if-range", etag) == etag
    if not is_ours or request.method != "GET":
        return None
    match = _RANGE.fullmatch(text)
    if match is None or match.groups() == ("", ""):
        raise RangeNotSatisfiable("Range must be one range of bytes, as in bytes=0-1023", size_bytes=size)
    first, last = match.groups()
    if first:
        start, stop = int(first), min(size, int(last) + 1 if last else size)
    else:
        start, stop = max(0, size - int(last)), size
    if start >= stop:
        raise RangeNotSatisfiable(f"the model has {size} bytes", size_bytes=size)
    return start, stop
