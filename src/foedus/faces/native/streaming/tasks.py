"""``next``: the long-poll in which participants wait for work; and the events of a project as a stream."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from foedus.core.errors import Invalid
from foedus.faces.native.answers.tasks import event_out, task_out
from foedus.faces.native.auth import token_in
from foedus.faces.native.streaming.batches import Batches
from foedus.faces.native.streaming.calls import answering, as_actor, key_in, now, number_in, ports_of
from foedus.faces.native.streaming.hub import Hub, work_of
from foedus.ports import Ports
from foedus.services.learning.tasks import Answer, Idle, Waiting, next_task, next_tasks, still_here
from foedus.services.learning.watching import DELETED, Watch, events_after, open_watch
from foedus.services.shell.authorisation import Actor
from foedus.services.shell.threads import in_thread

MAX_WAIT_S = 60
KEEP_ALIVE_S = 15.0


Woken = Batches[Waiting, Answer]
WOKEN_AT_ONCE = 32  # so that some train already while others are told


def woken(ports: Ports) -> Woken:
    """Where those who waited are told what to do: a round wakes all of its participants at once."""
    return Batches(lambda waiting: next_tasks(ports, waiting, now=now()), at_once=WOKEN_AT_ONCE)


@answering
async def next_view(request: Request) -> Response:
    """What should I do now? Answers at once when there is a task, otherwise when one appears or ``wait`` is over."""
    hub: Hub = request.app.state.hub
    loop = asyncio.get_running_loop()
    began_at = loop.time()
    mark, is_last = hub.mark(), hub.is_closed()
    question, answer = await as_actor(request, lambda actor: _Question.ask(request, actor, is_last=is_last))
    ends_at = began_at + question.wait_s
    is_last = is_last or question.wait_s <= 0
    while not is_last and isinstance(answer.task, Idle):
        left_s = ends_at - loop.time()
        # Work wakes those who wait at once; in between they only say that they are still there.
        while not await hub.wait(work_of(answer.project.stream), mark, min(left_s, answer.heartbeat_s)):
            left_s = ends_at - loop.time()
            if left_s <= 0 or hub.is_closed() or not await in_thread(still_here, answer, now=now()):
                break
        mark, is_last = hub.mark(), ends_at <= loop.time() or hub.is_closed()
        if is_last:
            answer = await in_thread(question.answer, explain=True)
        else:
            woken: Woken = request.app.state.woken
            answer = await woken.ask(question.waiting(answer))
    return JSONResponse(task_out(answer))


@dataclass(frozen=True, slots=True)
class _Question:
    """What a participant asks for, and how long it waits for the answer."""

    ports: Ports
    actor: Actor
    key: str
    evaluates: bool
    wait_s: float

    @classmethod
    def ask(cls, request: Request, actor: Actor, *, is_last: bool) -> "tuple[_Question, Answer]":
        """The question in a request, and the first answer to it."""
        wait_s = number_in(request, "wait", default=0, low=0, high=MAX_WAIT_S)
        question = cls(ports_of(request), actor, key_in(request), "evaluate" in _abilities(request), wait_s)
        return question, question.answer(explain=is_last or wait_s <= 0)

    def waiting(self, answer: Answer) -> Waiting:
        return Waiting(self.actor, self.key, self.evaluates, answer)

    def answer(self, *, explain: bool) -> Answer:
        return next_task(self.ports, self.actor, self.key, evaluates=self.evaluates, explain=explain, now=now())


@answering
async def events_view(request: Request) -> Response:
    """Server-sent events of a project, from the one after ``Last-Event-ID`` on."""
    after, watch = await as_actor(request, lambda actor: _opened(request, actor))
    return StreamingResponse(
        _events(request, watch, after),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


def _opened(request: Request, actor: Actor) -> tuple[int, Watch]:
    """After which event, and of what."""
    after = request.headers.get("last-event-id") or request.query_params.get("after") or "0"
    if not (after.isascii() and after.isdecimal()) or len(after) > 18:
        raise Invalid("Last-Event-ID must be the id of an event", field="Last-Event-ID")
    return int(after), open_watch(actor, key_in(request), token_in(request.headers.get("authorization")))


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
