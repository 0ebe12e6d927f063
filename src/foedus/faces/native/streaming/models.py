"""Models and updates on their way in and out."""

import re
from collections.abc import Iterator
from functools import partial

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from foedus.core.errors import Invalid
from foedus.faces.native.answers.base import Out
from foedus.faces.native.answers.contributions import ReceiptOut, UploadOut
from foedus.faces.native.answers.projects import CheckpointOut
from foedus.faces.native.errors import RangeNotSatisfiable
from foedus.faces.native.streaming.bodies import Body, digest_in
from foedus.faces.native.streaming.calls import (
    actor_of,
    answering,
    in_thread,
    metrics_in,
    now,
    number_in,
    ports_of,
)
from foedus.services.learning.checkpoints import read_checkpoint
from foedus.services.learning.projects import expect_initial_model, put_initial_model
from foedus.services.learning.updates import MAX_EXAMPLES, SubmitUpdate, expect_update, submit_update
from foedus.services.learning.uploads import append_part, get_upload
from foedus.services.shell.staging import Staging

SAFETENSORS = "application/vnd.safetensors"
OFFSET_STREAM = "application/offset+octet-stream"
MAX_PART_BYTES = 64 << 20
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


@answering
async def put_model_view(request: Request) -> Response:
    """The initial model of a project."""
    actor = await actor_of(request)
    key = request.path_params["project"]
    ports = ports_of(request)
    await in_thread(expect_initial_model, actor, key)
    limit = request.app.state.max_model_bytes
    body = Body(request, SAFETENSORS, limit)
    checkpoint, is_new = await body.then(
        partial(Staging, ports.scratch, limit),
        lambda staged: put_initial_model(ports, actor, key, staged, now=now()),
        digest_in(request, required=False),
    )
    return _answer(CheckpointOut.of_project(checkpoint, key), status_code=201 if is_new else 200)


@answering
async def put_update_view(request: Request) -> Response:
    """One participant's update for a round."""
    actor = await actor_of(request)
    command = SubmitUpdate(
        project=request.path_params["project"],
        round=request.path_params["number"],
        examples=number_in(request, "examples", low=0, high=MAX_EXAMPLES),
        metrics=metrics_in(request),
    )
    digest = digest_in(request, required=True)
    expected = await in_thread(expect_update, actor, command, digest, now=now())
    if expected.receipt is not None:
        return _answer(ReceiptOut.of(expected.receipt))
    ports = ports_of(request)
    body = Body(request, SAFETENSORS, expected.limit_bytes)
    update, is_new = await body.then(
        partial(Staging, ports.scratch, expected.limit_bytes),
        lambda staged: submit_update(ports, actor, command, staged, now=now()),
        digest,
    )
    return _answer(ReceiptOut.of(update), status_code=201 if is_new else 200)


@answering
async def patch_upload_view(request: Request) -> Response:
    """The next part of an upload. What arrived before a cut is kept."""
    actor = await actor_of(request)
    key, upload_id = request.path_params["project"], request.path_params["upload"]
    offset_text = request.headers.get("upload-offset", "")
    if not offset_text.isdecimal() or len(offset_text) > 18:
        raise Invalid("the header Upload-Offset must be the number of bytes sent so far", field="Upload-Offset")
    ports = ports_of(request)
    upload = await in_thread(get_upload, actor, key, upload_id, now=now())
    limit = min(MAX_PART_BYTES, upload.size_bytes)
    body = Body(request, OFFSET_STREAM, limit)
    upload = await body.then(
        partial(Staging, ports.scratch, limit),
        lambda staged: append_part(ports, actor, key, upload_id, int(offset_text), staged, now=now()),
        None,
        keep_cut=True,
    )
    return _answer(UploadOut.of(upload))


@answering
async def get_model_view(request: Request) -> Response:
    """A checkpoint's bytes, whole or a range of them."""
    actor = await actor_of(request)
    key = request.path_params["project"]
    checkpoint = await in_thread(read_checkpoint, actor, key, _number(request.path_params["number"]))
    etag = f'"{checkpoint.digest}"'
    headers = {"ETag": etag, "Accept-Ranges": "bytes", "Cache-Control": "private, no-cache"}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    start, stop = _range(request, etag, checkpoint.size_bytes)
    headers["Content-Length"] = str(stop - start)
    status = 200
    if (start, stop) != (0, checkpoint.size_bytes) or _wants_range(request, etag):
        status = 206
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{checkpoint.size_bytes}"
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=SAFETENSORS)
    chunks: Iterator[bytes] = await in_thread(ports_of(request).blobs.read, checkpoint.blob, start, stop)
    return StreamingResponse(chunks, status_code=status, headers=headers, media_type=SAFETENSORS)


def _answer(answer: Out, status_code: int = 200) -> Response:
    return JSONResponse(answer.model_dump(mode="json"), status_code=status_code)


def _number(text: str) -> int | None:
    if text == "latest":
        return None
    if not text.isdecimal() or len(text) > 9:
        raise Invalid("a checkpoint is named by its number, or by latest", field="number")
    return int(text)


def _wants_range(request: Request, etag: str) -> bool:
    return "range" in request.headers and request.headers.get("if-range", etag) == etag


def _range(request: Request, etag: str, size: int) -> tuple[int, int]:
    """The first byte asked for and the one after the last. A range of several parts is answered with everything."""
    if not _wants_range(request, etag):
        return 0, size
    match = _RANGE.fullmatch(request.headers["range"].replace(" ", ""))
    if match is None or match.groups() == ("", ""):
        raise Invalid("Range must be one range of bytes, as in bytes=0-1023", field="Range")
    first, last = match.groups()
    if not first:
        return max(0, size - int(last)), size
    start, stop = int(first), min(size, int(last) + 1 if last else size)
    if start >= size or stop <= start:
        raise RangeNotSatisfiable(f"the model has {size} bytes", size_bytes=size)
    return start, stop
