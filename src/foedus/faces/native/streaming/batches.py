"""Calls that wait together are answered together: one thread, and often one commit, for all of them."""

import asyncio
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

from starlette.requests import Request

from foedus.core.errors import PlatformError
from foedus.faces.native.auth import Caller, authenticated_all
from foedus.services.shell.authorisation import Actor
from foedus.services.shell.threads import in_thread

Q = TypeVar("Q")
A = TypeVar("A")
AT_WORK = 3  # batches of one kind: of a process's 16 threads some are left, whatever the batches of all kinds wait for


@dataclass(frozen=True, slots=True)
class Asked(Generic[Q]):
    """A question, and who asks it: as the request says, or as was found out before."""

    who: Caller | Actor
    question: Q


class Batches(Generic[Q, A]):
    """Questions of one kind. ``answer`` gives for each, in their order, an answer or the exception to be raised.

    While it works on some, others gather; who comes alone is answered alone, and at once. Those whose ``key`` differs,
    such as their project, do not wait for each other, unless ``AT_WORK`` batches are being answered already.
    """

    def __init__(
        self,
        answer: Callable[[Sequence[Q]], Sequence[A | Exception]],
        *,
        at_once: int,
        key: Callable[[Q], Hashable] = lambda _: None,
    ) -> None:
        self._answer = answer
        self._at_once = at_once
        self._key = key
        self._places = asyncio.Semaphore(AT_WORK)
        self._waiting: dict[Hashable, deque[tuple[Q, asyncio.Future[A]]]] = {}
        self._workers: dict[Hashable, asyncio.Task[None]] = {}

    async def ask(self, question: Q) -> A:
        """The answer to ``question``; or raises what it is refused with."""
        answered: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        key = self._key(question)
        if key not in self._waiting:
            self._waiting[key] = deque()
            self._workers[key] = asyncio.create_task(self._work(key))
        self._waiting[key].append((question, answered))
        return await answered

    async def _work(self, key: Hashable) -> None:
        waiting = self._waiting[key]
        try:
            while waiting:
                async with self._places:  # anew for each batch: whoever has many asking lets others in between
                    taken = [waiting.popleft() for _ in range(min(self._at_once, len(waiting)))]
                    await self._settle([(q, answered) for q, answered in taken if not answered.done()])
        finally:
            del self._waiting[key], self._workers[key]

    async def _settle(self, taken: Sequence[tuple[Q, asyncio.Future[A]]]) -> None:
        answers: Sequence[A | Exception]
        try:
            answers = await in_thread(self._answer, [question for question, _ in taken])
        except Exception as exc:  # noqa: BLE001 - each of them raises it
            answers = [exc] * len(taken)
        for (_, answered), answer in zip(taken, answers, strict=True):
            if answered.done():  # who asked has gone
                continue
            if isinstance(answer, Exception):
                answered.set_exception(answer)
            else:
                answered.set_result(answer)


Known = Batches[Asked[None], Actor]
KNOWN_AT_ONCE = 64


def known() -> Known:
    """Where it is found out who asks, for those who send more than a question."""
    return Batches(of_actors(lambda let_in: [actor for actor, _ in let_in]), at_once=KNOWN_AT_ONCE)


async def actor_of(request: Request) -> Actor:
    """Who sent the request. Raises Unauthenticated, QuotaExceeded."""
    known: Known = request.app.state.known
    request.state.actor = actor = await known.ask(Asked(caller_of(request), None))
    return actor


async def asked(request: Request, read: Callable[[Request], Q]) -> Asked[Q]:
    """The question in a request. Raises what is wrong with it, to those who may come in."""
    try:
        return Asked(caller_of(request), read(request))
    except PlatformError:
        await actor_of(request)
        raise


def caller_of(request: Request) -> Caller:
    return Caller(request.headers.get("authorization"), request.client.host if request.client else "")


def of_actors(
    answer: Callable[[Sequence[tuple[Actor, Q]]], Sequence[A | Exception]],
) -> Callable[[Sequence[Asked[Q]]], list[A | Exception]]:
    """Finds out who asks, of all in one question, and has only those answered who may come in."""

    def answered(asked: Sequence[Asked[Q]]) -> list[A | Exception]:
        unknown = [one.who for one in asked if isinstance(one.who, Caller)]
        found = iter(authenticated_all(unknown, now=datetime.now(UTC)) if unknown else ())
        actors = [next(found) if isinstance(one.who, Caller) else one.who for one in asked]
        let_in = [(who, one.question) for who, one in zip(actors, asked, strict=True) if isinstance(who, Actor)]
        answers = iter(answer(let_in))
        return [next(answers) if isinstance(who, Actor) else who for who in actors]

    return answered
