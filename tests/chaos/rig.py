"""Whole services whose every part can be hurt: what there is to hurt, and how, by name."""

import contextlib
import os
import signal
import time
from dataclasses import dataclass, field

from tests.chaos.clocks import Clock, NoClockError
from tests.chaos.disk import Disk, NoDiskError
from tests.e2e.service import Apart, Serve
from tests.servers.nats import nats_server
from tests.servers.postgresql import postgresql_cluster
from tests.servers.proxy import proxy

HOUR_S, DAY_S = 3600, 86_400


@dataclass
class Rig:
    """``faults`` are functions of a random generator, by kind; ``left_out`` says what this machine cannot do.

    A fault may give the seconds in which the service was started anew: there is no recovery before that.
    """

    service: object
    url: str
    start_s: float = 0.0  # how long it took to start, which says how busy the machine is
    faults: dict = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


@contextlib.contextmanager
def one_tree(folder):
    """``foedus serve`` on SQLite and files, behind a proxy."""
    with contextlib.ExitStack() as stack:
        service = Serve(folder / "data")
        rig = Rig(service, "")
        clock = _clock(rig, folder)
        if clock:
            service.environment |= clock.environment
        disk = _disk(rig, stack, folder / "data" / "blobs")
        if disk:
            service.prefix = disk.prefix
        began = time.monotonic()
        stack.enter_context(service)
        rig.start_s = time.monotonic() - began
        gate = stack.enter_context(proxy(service.port))
        rig.url = f"http://127.0.0.1:{gate.port}"
        for role in ("web", "worker"):
            rig.faults[f"kill {role}"] = lambda _, role=role: service.kill(role)
            rig.faults[f"stop {role}"] = lambda rng, role=role: _stopped(service.pid(role), rng)
        rig.faults["kill supervisor"] = lambda _: service.restart(alone=True)
        rig.faults["kill everything"] = lambda _: service.restart()
        rig.faults |= _of_wire("participants", gate)
        yield rig


@contextlib.contextmanager
def two_of_each(folder):
    """Two web and two worker processes and a clock on PostgreSQL and NATS, each behind a proxy of its own."""
    with contextlib.ExitStack() as stack:
        database = stack.enter_context(postgresql_cluster(folder / "postgresql"))
        bus = stack.enter_context(nats_server(folder / "nats"))
        to_database = stack.enter_context(proxy(_port(database.url)))
        to_bus = stack.enter_context(proxy(_port(bus.url)))
        service = Apart(
            folder / "data", webs=2, workers=2,
            FOEDUS_DATABASE_URL=database.url.replace(str(_port(database.url)), str(to_database.port)),
            FOEDUS_BUS_URL=bus.url.replace(str(_port(bus.url)), str(to_bus.port)),
        )  # fmt: skip
        rig = Rig(service, "")
        clock = _clock(rig, folder)
        if clock:
            service.environment |= clock.environment
        began = time.monotonic()
        stack.enter_context(service)
        rig.start_s = time.monotonic() - began
        gate = stack.enter_context(proxy(*service.ports))
        rig.url = f"http://127.0.0.1:{gate.port}"
        for role, count in (("web", 2), ("worker", 2), ("clock", 1)):
            rig.faults[f"kill {role}"] = lambda rng, role=role, count=count: _again(service, role, rng.randrange(count))
            rig.faults[f"stop {role}"] = lambda rng, role=role, count=count: _stopped(
                service.programs[role, rng.randrange(count)].pid, rng
            )
        rig.faults["kill database"] = lambda rng: _restarted(database, rng)
        rig.faults["kill bus"] = lambda rng: _restarted(bus, rng)
        for name, wire in (("participants", gate), ("database", to_database), ("bus", to_bus)):
            rig.faults |= _of_wire(name, wire)
        yield rig


def _of_wire(name, wire):
    return {
        f"reset {name}": lambda _: wire.reset(),
        f"cut {name}": lambda rng: _for_a_while(wire, rng, shut=True),
        f"delay {name}": lambda rng: _for_a_while(wire, rng, delay_s=rng.uniform(0.02, 0.2)),
        f"silence {name}": lambda rng: _for_a_while(wire, rng, silent=True),
    }


def _for_a_while(wire, rng, **how):
    before = {what: getattr(wire, what) for what in how}
    for what, value in how.items():
        setattr(wire, what, value)
    if how.get("shut"):
        wire.reset()
    time.sleep(rng.uniform(0.1, 1.5))
    for what, value in before.items():
        setattr(wire, what, value)


def _stopped(pid, rng):
    """SIGSTOP, and SIGCONT in a while: a machine that swaps or is moved."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
        time.sleep(rng.uniform(0.1, 1.5))
        os.kill(pid, signal.SIGCONT)


def _again(service, role, index):
    """Kill and start anew at once; nobody waits for it to be ready, the other one is."""
    service.kill(role, index)
    service.launch(role, index)


def _restarted(server, rng):
    server.stop()
    time.sleep(rng.uniform(0.0, 1.0))
    server.start()


def _clock(rig, folder):
    try:
        clock = Clock(folder)
    except NoClockError as exc:
        rig.left_out.append(str(exc))
        return None
    rig.faults["set the clock"] = lambda rng: clock.set(rng.choice((-DAY_S, -HOUR_S, -60, 0, 60, HOUR_S, DAY_S)))
    return clock


def _disk(rig, stack, folder):
    try:
        disk = Disk(folder)
    except NoDiskError as exc:
        rig.left_out.append(str(exc))
        return None
    stack.callback(disk.close)
    rig.faults["fill the disk"] = lambda rng: _meanwhile(disk.full(), rng)
    rig.faults["lock the disk"] = lambda rng: _meanwhile(disk.read_only(), rng)
    return disk


def _meanwhile(trouble, rng):
    with trouble:
        time.sleep(rng.uniform(0.1, 1.5))


def _port(url):
    return int(url.rpartition(":")[2].partition("/")[0])
