"""Thousands of schedules over all processors that there are: ``python -m tests.chaos.many [HOW-MANY]``.

Each process plays shares of them, one after the other; a schedule that fails says how to play it again, alone.
"""

import gc
import os
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

from tests.chaos.laws import check
from tests.chaos.simulation import Simulation
from tests.chaos.twin import Twin

SHARE = 100
OBJECTS = 100_000  # between two looks for cycles, which take a tenth of the time otherwise


def play(seed, make):
    """The schedule of this seed, checked; a failure says how to see it again."""
    world = Simulation(seed, make)
    try:
        check(world.run())
    except Exception as exc:
        exc.add_note(f"replay: FOEDUS_TEST_SEED={seed} .venv/bin/pytest tests/chaos/test_simulation.py")
        exc.add_note("\n".join(map(str, [world.plan, *world.trace[-40:]])))
        raise
    return world


def play_many(count, make=Twin, *, processes=None):
    """Those of the first ``count`` seeds, each in some process. Raises what ``play`` does for the first that fails."""
    pool = ProcessPoolExecutor(
        processes or processors(), mp_context=get_context("spawn"), initializer=gc.set_threshold, initargs=(OBJECTS,)
    )
    with pool:
        try:
            for _ in pool.map(partial(_play_share, make=make, end=count), range(0, count, SHARE)):
                pass
        finally:
            pool.shutdown(cancel_futures=True)


def processors():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _play_share(start, *, make, end):
    for seed in range(start, min(start + SHARE, end)):
        play(seed, make)


def main(count):
    began = time.monotonic()
    play_many(count)
    seconds = time.monotonic() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    sys.stdout.write(
        f"{count} schedules in {seconds:.1f} s on {processors()} processors, {60 * count / seconds:.0f} a minute "
        f"({used.ru_utime + used.ru_stime:.1f} s of processor time, load {os.getloadavg()[0]:.1f})\n"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
