"""``next``: the long-poll in which participants wait for work; and the events of a project as a stream."""

import asyncio
import json
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from foedus.core.errors import Invalid
from foedus.faces.native.answers.tasks import event_out, task_out
from foedus.faces.native.auth import token_in
from foedus.faces.native.streaming.calls import actor_of, answering, in_thread, key_in, now, number_in, ports_of
from foedus.faces.native.streaming.hub import Hub, work_of
from foedus.services.learning.tasks import Answer, Idle, next_task, still_here
from foedus.services.learning.watching import DELETED, Watch, events_after, open_watch

MAX_WAIT_S = 60
KEEP_ALIVE_S = 15.0


@answering
async def next_view(request: Request) -> Response:
    """What should I do now? Answers at once when there is a task, otherwise when one appears or ``wait`` is over."""
    actor = await actor_of(request)
    wait_s = number_in(request, "wait", default=0, low=0, high=MAX_WAIT_S)
    evaluates = "evaluate" in _abilities(request)
    hub: Hub = request.app.state.hub
    key = key_in(request)
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + wait_s
    left_s = wait_s
    while True:
        mark = hub.mark()
        is_last = left_s <= 0 or hub.is_closed()
        answer: Answer = await in_thread(
            next_task, ports_of(request), actor, key, evaluates=evaluates, explain=is_last, now=now()
        )
        if is_last or not isinstance(answer.task, Idle):
            return JSONResponse(task_out(answer))
        left_s = ends_at - loop.time()
        # Work wakes those who wait at once; in between they only say that they are still there.
        while not await hub.wait(work_of(answer.project.stream), mark, min(left_s, answer.heartbeat_s)):
            left_s = ends_at - loop.time()
            if left_s <= 0 or hub.is_closed() or not await in_thread(still_here, answer, now=now()):
                break
        left_s = ends_at - loop.time()


@answering
async def events_view(request: Request) -> Response:
    """Server-sent events of a project, from the one after ``Last-Event-ID`` on."""
    actor = await actor_of(request)
    after = request.headers.get("last-event-id") or request.query_params.get("after") or "0"
    if not (after.isascii() and after.isdecimal()) or len(after) > 18:
        raise Invalid("Last-Event-ID must be the id of an event", field="Last-Event-ID")
    watch = await in_thread(open_watch, actor, key_in(request), token_in(request.headers.get("authorization")))
    return StreamingResponse(
        _events(request, watch, int(after)),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _events(request: Request, watch: Watch, after: int) -> AsyncIterator[bytes]:
    hub: Hub = request.app.state.hub
    yield b": open\n\n"
    # Starlette ends this when the client goes. Asking the request whether it has, too, would end it right away.
    while not hub.is_closed():
        mark = hub.mark()
        events = await in_thread(events_after, watch, after, now=now())
        if events is None:
            return
        for event in events:
            after = event.seq
            data = json.dumps(event_out(event), separators=(",", ":"))
            yield f"id: {event.seq}\nevent: {event.kind}\ndata: {data}\n\n".encode()
            if event.kind == DELETED:
                return
        if not events and not await hub.wait(watch.stream, mark, KEEP_ALIVE_S):
            yield b": still here\n\n"


def _abilities(request: Request) -> set[str]:
    known = {"train", "evaluate"}
    named = {word for word in request.query_params.get("can", "train").split(",") if word}
    if named - known:
        raise Invalid("can is train, evaluate, or both joined by a comma", field="can")
    return named
