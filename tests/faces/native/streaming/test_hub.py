"""Who waits is woken by what concerns it, and by nothing else."""

import asyncio

import pytest

from foedus.connectors.bus.memory import MemoryBus
from foedus.faces.native.streaming.hub import Hub, work_of

SOON_S = 5.0
NEVER_S = 0.05


@pytest.fixture
def bus():
    made = MemoryBus()
    yield made
    made.close()


def waiting(bus, test):
    """Runs ``test`` with a hub whose thread listens already."""

    async def run():
        hub = Hub(bus)
        while not await hub.wait("project.0", hub.mark(), 0.01):  # until it listens
            bus.publish("project.0.probe")
        try:
            await test(hub)
        finally:
            hub.close()

    asyncio.run(run())


def test_an_event_wakes_who_waits_for_its_project(bus):
    async def test(hub):
        mark = hub.mark()
        waits = [asyncio.create_task(hub.wait(stream, mark, SOON_S)) for stream in ("project.7", work_of("project.7"))]
        await asyncio.sleep(0)

        bus.publish("project.7.round-started")

        assert await asyncio.gather(*waits) == [True, True]
        assert not await hub.wait("project.70", mark, NEVER_S)

    waiting(bus, test)


@pytest.mark.parametrize("kinds", ["round-started.update-accepted", "update-accepted.round-started", "round-opened"])
def test_what_brings_work_among_other_things_wakes_who_waits_for_work(bus, kinds):
    async def test(hub):
        mark = hub.mark()
        waiting_for_work = asyncio.create_task(hub.wait(work_of("project.7"), mark, SOON_S))
        await asyncio.sleep(0)

        bus.publish(f"project.7.{kinds}")

        assert await waiting_for_work

    waiting(bus, test)


@pytest.mark.parametrize(
    "kind", ["update-accepted", "participant-joined", "round-combining.update-accepted", "score-reported"]
)
def test_what_makes_no_work_wakes_nobody_who_waits_for_work(bus, kind):
    async def test(hub):
        mark = hub.mark()
        watching = asyncio.create_task(hub.wait("project.7", mark, SOON_S))
        await asyncio.sleep(0)

        bus.publish(f"project.7.{kind}")

        assert await watching
        assert not await hub.wait(work_of("project.7"), mark, NEVER_S)

    waiting(bus, test)


def test_what_happened_after_the_mark_is_not_waited_for(bus):
    async def test(hub):
        mark = hub.mark()
        watching = asyncio.create_task(hub.wait("project.7", mark, SOON_S))
        await asyncio.sleep(0)
        bus.publish("project.7.round-opened")
        await watching

        assert await hub.wait(work_of("project.7"), mark, NEVER_S)
        assert not await hub.wait("project.7", hub.mark(), NEVER_S)

    waiting(bus, test)


def test_closing_lets_everybody_go_and_has_nobody_wait(bus):
    async def test(hub):
        waits = [asyncio.create_task(hub.wait("project.7", hub.mark(), 60)) for _ in range(3)]
        await asyncio.sleep(0)

        hub.close()

        await asyncio.wait_for(asyncio.gather(*waits), SOON_S)
        assert not await asyncio.wait_for(hub.wait("project.8", hub.mark(), 60), SOON_S)

    waiting(bus, test)


def test_what_was_forgotten_wakes_once_too_often_and_never_once_too_few(bus, monkeypatch):
    monkeypatch.setattr("foedus.faces.native.streaming.hub.MAX_STREAMS", 4)

    async def test(hub):
        mark = hub.mark()
        watching = asyncio.create_task(hub.wait("project.99", mark, SOON_S))
        await asyncio.sleep(0)
        for number in range(100):
            bus.publish(f"project.{number}.round-opened")
        await watching

        assert len(hub._latest) <= 4
        assert await hub.wait("project.0", mark, NEVER_S)
        assert not await hub.wait("project.0", hub.mark(), NEVER_S)

    waiting(bus, test)


def test_a_gap_in_what_the_bus_tells_wakes_also_who_has_a_mark_and_does_not_wait_yet(bus):
    async def test(hub):
        mark = hub.mark()
        watching = asyncio.create_task(hub.wait("project.7", mark, SOON_S))
        await asyncio.sleep(0)

        bus.publish("project")

        assert await watching
        assert await hub.wait("project.8", mark, NEVER_S)
        assert not await hub.wait("project.8", hub.mark(), NEVER_S)

    waiting(bus, test)
