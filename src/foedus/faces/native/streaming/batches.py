"""Calls that wait together are answered together: one thread, and often one commit, for all of them."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from foedus.services.shell.threads import in_thread

Q = TypeVar("Q")
A = TypeVar("A")


class Batches(Generic[Q, A]):
    """Questions of one kind. ``answer`` gives for each, in their order, an answer or the exception to be raised.

    While it works on some, others gather; who comes alone is answered alone, and at once.
    """

    def __init__(self, answer: Callable[[Sequence[Q]], Sequence[A | Exception]], *, at_once: int) -> None:
        self._answer = answer
        self._at_once = at_once
        self._waiting: deque[tuple[Q, asyncio.Future[A]]] = deque()
        self._worker: asyncio.Task[None] | None = None

    async def ask(self, question: Q) -> A:
        """The answer to ``question``; or raises what it is refused with."""
        answered: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, answered))
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        return await answered

    async def _work(self) -> None:
        try:
            while self._waiting:
                taken = [self._waiting.popleft() for _ in range(min(self._at_once, len(self._waiting)))]
                await self._settle([(q, answered) for q, answered in taken if not answered.done()])
        finally:
            self._worker = None

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
