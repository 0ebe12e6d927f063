"""Whole rounds here, in Flower's deployment engine and in NVFlare's POC mode: the same work in one run, and the ratios.

Two participants hand back an update of the size of the model at once. Ours is what ``rounds`` measures, with tokens and
durable writes. ``python benchmarks/run.py rival_rounds -- 1 100`` gives the sizes in MB. Each part tells how busy the
machine was before it.
"""

import os
import signal
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from statistics import median

from benchmarks import flower_rounds, nvflare_rounds
from benchmarks.machine import described
from benchmarks.rivals import FLOWER, NVFLARE, environment
from benchmarks.rounds import served_s
from benchmarks.service import serving

PARTICIPANTS = 2
OURS = {1: 30, 100: 9}
FLOWERS = {1: 4, 100: 3}  # a round takes it half a minute
NVFLARES = {1: 9, 100: 4}


def main(*sizes):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # whatever was started ends, too
    print(described())
    for size in map(int, sizes or OURS):
        print(f"{PARTICIPANTS} x {size} MB", flush=True)
        ours = told("foedus", lambda size=size: [served(size)])
        for name, measured in (("Flower 1.41", flower), ("NVFlare 2.9", nvflare)):
            measured(name, size, ours)


def served(size):
    with serving() as server:
        return served_s(server, f"rival-{size}", PARTICIPANTS, size * 1_000_000, OURS.get(size, 9))


def flower(name, size, ours):
    if (programs := environment(FLOWER)) is not None:
        with tempfile.TemporaryDirectory(prefix="foedus-rival-") as folder:
            told(name, lambda: between(flower_rounds.moments(programs, Path(folder), size, FLOWERS.get(size, 4))), ours)


def nvflare(name, size, ours):
    if (programs := environment(NVFLARE)) is None:
        return
    rounds = NVFLARES.get(size, 5)
    with tempfile.TemporaryDirectory(prefix="foedus-rival-") as folder:
        try:
            with nvflare_rounds.started(programs, Path(folder)) as moments:
                told(name, lambda: between(moments(size, rounds, tuned=False)), ours)
                told(f"{name}, tuned", lambda: between(moments(size, rounds, tuned=True)), ours)
        except subprocess.CalledProcessError as exc:
            print(f"  {name} did not start: {exc}", flush=True)


def between(moments):
    """The seconds of each round but the first, which has the start in it."""
    return [after - before for before, after in pairwise(moments[1:])]


def told(name, measure, ours=None):
    """The median of what is measured, which is printed, with what it is of ours."""
    load = os.getloadavg()[0]
    seconds = measure()
    if not seconds:
        print(f"  {name}: no two rounds in time", flush=True)
        return None
    found = median(seconds)
    ratio = f", {found / ours:.0f} times ours" if ours else ""
    print(f"  {name}: {found:.3f} s a round ({1 / found:.3f} a second){ratio}; load {load:.1f} before", flush=True)
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
