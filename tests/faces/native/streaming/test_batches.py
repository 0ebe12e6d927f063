"""Questions of one project gather; those of others do not wait for them."""

import asyncio
from threading import Event, Semaphore

import pytest

from foedus.faces.native.streaming.batches import AT_WORK, Batches


class Slow:
    """Answers a project's questions once it ``may``; ``began``: the batches that it was asked."""

    def __init__(self):
        self.may, self.began, self._starts = {}, [], Semaphore(0)

    def __call__(self, questions):
        self.began.append(list(questions))
        self._starts.release()
        self.may.get(questions[0][0], _now()).wait(10)
        return [f"{question}!" for question in questions]

    async def starts(self, batches=1):
        for _ in range(batches):
            assert await asyncio.to_thread(self._starts.acquire, timeout=5)


def _now():
    event = Event()
    event.set()
    return event


def batches(slow):
    return Batches(slow, at_once=2, key=lambda question: question[0])


def test_a_project_that_waits_holds_up_nobody_else_and_its_own_gather():
    async def play():
        slow = Slow()
        slow.may["a"] = Event()
        asked = batches(slow)
        first = asyncio.create_task(asked.ask("a1"))
        await slow.starts()
        others = [asyncio.create_task(asked.ask(f"a{n}")) for n in (2, 3, 4)]

        assert await asyncio.wait_for(asked.ask("b1"), 5) == "b1!"
        assert not first.done()

        slow.may["a"].set()
        assert await asyncio.gather(first, *others) == ["a1!", "a2!", "a3!", "a4!"]
        assert slow.began == [["a1"], ["b1"], ["a2", "a3"], ["a4"]]
        assert await asked.ask("a5") == "a5!"

    asyncio.run(play())


def test_no_more_threads_are_at_work_than_are_allowed():
    async def play():
        slow = Slow()
        slow.may = {str(n): Event() for n in range(AT_WORK)}
        asked = batches(slow)
        held = [asyncio.create_task(asked.ask(each)) for each in slow.may]
        await slow.starts(AT_WORK)
        late = asyncio.create_task(asked.ask("x"))
        await asyncio.sleep(0.05)
        assert len(slow.began) == AT_WORK

        slow.may["0"].set()
        assert await asyncio.wait_for(late, 5) == "x!"
        for each in slow.may.values():
            each.set()
        assert await asyncio.gather(*held) == [f"{each}!" for each in slow.may]

    asyncio.run(play())


def test_an_error_is_that_of_its_batch_alone():
    async def play():
        def answer(questions):
            if questions[0] == "a1":
                raise KeyError("nobody foresaw it")
            return questions

        asked = batches(answer)
        with pytest.raises(KeyError):
            await asked.ask("a1")
        assert await asked.ask("a2") == "a2"

    asyncio.run(play())
