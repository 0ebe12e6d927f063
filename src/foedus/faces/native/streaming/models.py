"""Models and updates on their way in."""

from collections.abc import Sequence
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from foedus.core.errors import Invalid
from foedus.faces.native.answers.base import Out
from foedus.faces.native.answers.contributions import ReceiptOut, UploadOut
from foedus.faces.native.answers.projects import CheckpointOut
from foedus.faces.native.streaming.batches import Batches, actor_of
from foedus.faces.native.streaming.bodies import SAFETENSORS, Body, digest_in, is_small
from foedus.faces.native.streaming.calls import (
    answering,
    as_actor,
    key_in,
    metrics_in,
    now,
    number_in,
    ports_of,
    round_in,
    upload_in,
)
from foedus.ports import Ports
from foedus.records.learning.models import Update, Upload
from foedus.services.learning.projects import expect_initial_model, put_initial_model
from foedus.services.learning.submitting import (
    MAX_HELD_BYTES,
    Expected,
    HandIn,
    count_updates,
    expect_update,
    take_update,
    take_updates,
)
from foedus.services.learning.together import Offered
from foedus.services.learning.updates import MAX_EXAMPLES, SubmitUpdate
from foedus.services.learning.uploads import append_part, get_upload
from foedus.services.shell.authorisation import Actor
from foedus.services.shell.staging import Held, Staged, Staging

JSON = "application/json"
OFFSET_STREAM = "application/offset+octet-stream"
MAX_PART_BYTES = 64 << 20
UNASKED_BYTES = 2 << 20  # to take so much costs less than to ask whether to take it
HandIns = Batches[HandIn | Offered, tuple[Update, bool]]
HAND_INS_AT_ONCE = 64  # in one transaction, for which other writers wait


def hand_ins(ports: Ports) -> HandIns:
    """Where updates wait for a transaction: small ones as they came, others once their bodies are stored."""

    def submitted(updates: Sequence[HandIn | Offered]) -> Sequence[tuple[Update, bool] | Exception]:
        taken = iter(take_updates(ports, [each for each in updates if isinstance(each, HandIn)]))
        offered = [next(taken) if isinstance(each, HandIn) else each for each in updates]
        outcomes = iter(count_updates(ports, [each for each in offered if isinstance(each, Offered)], now=now()))
        return [next(outcomes) if isinstance(each, Offered) else each for each in offered]

    return Batches(submitted, at_once=HAND_INS_AT_ONCE, key=lambda one: one.command.project)


@answering
async def put_model_view(request: Request) -> Response:
    """The initial model of a project."""
    await as_actor(request, lambda actor: expect_initial_model(actor, key_in(request)))
    actor: Actor = request.state.actor
    key, ports = key_in(request), ports_of(request)
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
    if is_small(request, MAX_HELD_BYTES):  # it costs less to take it than to ask whether to take it
        update, is_new = await _handed_in(request)
        return _answer(ReceiptOut.of(update), status_code=201 if is_new else 200)
    ports = ports_of(request)
    if is_small(request, UNASKED_BYTES):
        actor, limit = await actor_of(request), UNASKED_BYTES
        command, digest = _said_of_update(request)
    else:
        command, digest, expected = await as_actor(request, lambda actor: _announced(request, ports, actor))
        actor, limit = request.state.actor, expected.limit_bytes
        if expected.receipt is not None:
            return _answer(ReceiptOut.of(expected.receipt))
    body = Body(request, SAFETENSORS, limit)

    def taken(whole: Staged | Held) -> Offered:
        return take_update(ports, HandIn(actor, command, whole))

    if body.fits_memory:  # no scratch file, and no second look at the disk
        offered = await body.held_then(taken, digest)
    else:
        offered = await body.then(partial(Staging, ports.scratch, limit), taken, digest)
    hand_ins: HandIns = request.app.state.hand_ins
    update, is_new = await hand_ins.ask(offered)
    return _answer(ReceiptOut.of(update), status_code=201 if is_new else 200)


@answering
async def patch_upload_view(request: Request) -> Response:
    """The next part of an upload. What arrived before a cut is kept."""
    offset, upload = await as_actor(request, lambda actor: _under_way(request, actor))
    actor: Actor = request.state.actor
    key, upload_id, ports = key_in(request), upload_in(request), ports_of(request)
    limit = min(MAX_PART_BYTES, upload.size_bytes)
    body = Body(request, OFFSET_STREAM, limit)
    upload = await body.then(
        partial(Staging, ports.scratch, limit),
        lambda staged: append_part(ports, actor, key, upload_id, offset, staged, now=now()),
        None,
        keep_cut=True,
    )
    return _answer(UploadOut.of(upload))


async def _handed_in(request: Request) -> tuple[Update, bool]:
    """A small update, counted together with those that arrive at the same time."""
    actor = await actor_of(request)
    command, digest = _said_of_update(request)
    hand_ins: HandIns = request.app.state.hand_ins
    body = Body(request, SAFETENSORS, MAX_HELD_BYTES)
    return await body.held(digest, lambda whole: hand_ins.ask(HandIn(actor, command, whole)))


def _announced(request: Request, ports: Ports, actor: Actor) -> tuple[SubmitUpdate, str | None, Expected]:
    """What the headers say of an update, and what is to be said to that."""
    command, digest = _said_of_update(request)
    return command, digest, expect_update(ports, actor, command, digest, now=now())


def _said_of_update(request: Request) -> tuple[SubmitUpdate, str | None]:
    command = SubmitUpdate(
        project=key_in(request),
        round=round_in(request),
        examples=number_in(request, "examples", low=0, high=MAX_EXAMPLES),
        metrics=metrics_in(request),
    )
    return command, digest_in(request, required=True)


def _under_way(request: Request, actor: Actor) -> tuple[int, Upload]:
    """Where the next part of an upload begins, as its sender says, and the upload."""
    text = request.headers.get("upload-offset", "")
    if not (text.isascii() and text.isdecimal()) or len(text) > 18:
        raise Invalid("the header Upload-Offset must be the number of bytes sent so far", field="Upload-Offset")
    return int(text), get_upload(actor, key_in(request), upload_in(request), now=now())


def _answer(answer: Out, status_code: int = 200) -> Response:
    return Response(answer.model_dump_json(), status_code=status_code, media_type=JSON)
