"""``next``: the long-poll in which participants wait for work; and the events of a project as a stream."""

import asyncio
import json
from collections.abc import AsyncIterator, Hashable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from foedus.core.errors import Invalid
from foedus.faces.native.answers.tasks import event_out, task_out
from foedus.faces.native.auth import token_in
from foedus.faces.native.streaming.batches import Asked, Batches, asked, of_actors
from foedus.faces.native.streaming.calls import answering, as_actor, key_in, now, number_in
from foedus.faces.native.streaming.hub import Hub, work_of
from foedus.faces.native.streaming.inline import Inline
from foedus.ports import Ports
from foedus.services.learning.tasks import Answer, Asking, Evaluate, Idle, Train, next_tasks, still_here
from foedus.services.learning.watching import DELETED, Watch, events_after, open_watch
from foedus.services.shell.authorisation import Actor
from foedus.services.shell.threads import in_thread

MAX_WAIT_S = 60
KEEP_ALIVE_S = 15.0


@dataclass(frozen=True, slots=True)
class Want:
    """What a participant asks for. ``explain``: it will be told to wait, and why, when there is nothing to do.

    ``anew``: it has just started. ``inline``: it takes what is small of a task's model along with the task.
    """

    key: str
    evaluates: bool
    wait_s: float
    explain: bool
    anew: bool = False
    inline: bool = False

    @classmethod
    def read(cls, request: Request, *, is_closed: bool) -> "Want":
        """What is asked for in a request. While the process ends, nobody waits."""
        wait_s = number_in(request, "wait", default=0, low=0, high=MAX_WAIT_S)
        explain = is_closed or wait_s <= 0
        anew, inline = _flag(request, "anew"), _flag(request, "inline")
        return cls(key_in(request), "evaluate" in _abilities(request), wait_s, explain, anew=anew, inline=inline)


@dataclass(frozen=True, slots=True)
class Told:
    """An answer to an actor; what happened up to ``mark`` is in it. ``body`` says it, where many are told the same."""

    mark: int
    actor: Actor
    answer: Answer
    body: bytes | None


Tasks = Batches[Asked[Want], Told]
Signs = Batches[Answer, bool]
TOLD_AT_ONCE = 32  # so that some train already while others are told
SIGNS_AT_ONCE = 64


def tasks(ports: Ports, hub: Hub) -> Tasks:
    """Where participants are told what to do: a round wakes all of its participants at once."""

    def told(wanted: Sequence[tuple[Actor, Want]]) -> list[Told | Exception]:
        mark = hub.mark()
        asking = [Asking(actor, want.key, want.evaluates, want.explain, want.anew) for actor, want in wanted]
        answers = next_tasks(ports, asking, now=now())
        said = _Said(Inline(ports.blobs))
        return [
            Told(mark, actor, answer, said.to(want, answer)) if isinstance(answer, Answer) else answer
            for (actor, want), answer in zip(wanted, answers, strict=True)
        ]

    return Batches(of_actors(told), at_once=TOLD_AT_ONCE, key=lambda one: one.question.key)


class _Said:
    """What is said to those who are answered together: those who have the same to do are told the same."""

    def __init__(self, inline: Inline) -> None:
        self._inline = inline
        self._bodies: dict[Hashable, bytes] = {}

    def to(self, want: Want, answer: Answer) -> bytes | None:
        """None for answers that differ or may not be the last."""
        match answer.task:
            case Train(round=current, evaluate=evaluate):
                key: Hashable = "train", current.pk, evaluate, want.inline
            case Evaluate(checkpoint=checkpoint):
                key = "evaluate", checkpoint.pk, want.inline
            case _:
                return None
        if key not in self._bodies:
            out = task_out(answer, self._inline.of) if want.inline else task_out(answer)
            self._bodies[key] = bytes(JSONResponse(out).body)
        return self._bodies[key]


def signs() -> Signs:
    """Where those who wait say that they are still there; whether that is all that there is to say."""
    return Batches(
        lambda answers: still_here(answers, now=now()), at_once=SIGNS_AT_ONCE, key=lambda one: one.project.pk
    )


@answering
async def next_view(request: Request) -> Response:
    """What should I do now? Answers at once when there is a task, otherwise when one appears or ``wait`` is over."""
    hub: Hub = request.app.state.hub
    tasks: Tasks = request.app.state.tasks
    signs: Signs = request.app.state.signs
    loop = asyncio.get_running_loop()
    began_at = loop.time()
    first = await asked(request, partial(Want.read, is_closed=hub.is_closed()))
    told = await tasks.ask(first)
    ends_at, is_last = began_at + first.question.wait_s, first.question.explain
    while not is_last and isinstance(told.answer.task, Idle):
        answer = told.answer
        left_s = ends_at - loop.time()
        # Work wakes those who wait at once; in between they only say that they are still there.
        while not await hub.wait(work_of(answer.project.stream), told.mark, min(left_s, answer.heartbeat_s)):
            left_s = ends_at - loop.time()
            if left_s <= 0 or hub.is_closed() or not await signs.ask(answer):
                break
        is_last = ends_at <= loop.time() or hub.is_closed()
        told = await tasks.ask(Asked(told.actor, replace(first.question, explain=is_last, anew=False)))
    if told.body is not None:
        return Response(told.body, media_type=JSONResponse.media_type)
    return JSONResponse(task_out(told.answer))


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


def _flag(request: Request, name: str) -> bool:
    said = request.query_params.get(name, "false")
    if said not in ("true", "false"):
        raise Invalid(f"{name} is true or false", field=name)
    return said == "true"


def _abilities(request: Request) -> set[str]:
    known = {"train", "evaluate"}
    named = {word for word in request.query_params.get("can", "train").split(",") if word}
    if named - known:
        raise Invalid("can is train, evaluate, or both joined by a comma", field="can")
    return named
