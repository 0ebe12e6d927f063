"""A thousand participants that wait in long-polls and hand in small updates: updates a second, and how long each took.

``python benchmarks/run.py fleet -- 200 4`` takes 200 of them through 4 rounds, ``... -- 200 4 100`` has 100 hand in a
second instead of 200. One web process is measured, then two; ``FOEDUS_WEB_PROCESSES=3`` before it measures three alone.
First all hand in at once: that says how many updates a second there can be, and the last of a thousand waits for those
before it, so that its p99 is a round's length and no more. Then they hand in spread over some seconds, as participants
do whose training takes differently long: that says how long one update takes while the server keeps up.

The server runs on the same machine as all its participants; what both took of the processor is printed beside, because
that does not depend on who else is at work.
"""

import asyncio
import os
import random
import resource
import sys
import time
from itertools import pairwise
from statistics import median

import psutil
from benchmarks.light import Connection
from benchmarks.machine import described
from benchmarks.service import Caller, headers_of, model, serving

MODEL_BYTES = 10_000
PARTICIPANTS, ROUNDS, PACE = (*map(int, sys.argv[1:]), *(1000, 6, 200)[len(sys.argv) - 1 :])


def main():
    print(described())
    named = os.environ.get("FOEDUS_WEB_PROCESSES")
    for processes in [named] if named else ["1", "2"]:
        os.environ["FOEDUS_WEB_PROCESSES"] = processes
        print(f"web processes: {processes}")
        _measure_both()


def _measure_both():
    with serving() as server:
        measure(server, "at-once", 0.0)
        measure(server, "paced", PARTICIPANTS / PACE)
        began = time.perf_counter()
        Caller(server.url, server.token).json("GET", "/projects/paced")
        print(f"asking what the project waits for: {(time.perf_counter() - began) * 1e3:.0f} ms")


def measure(server, key, within_s):
    """Rounds in which all hand in ``within_s`` of their task, each at a moment of its own."""
    tokens = server.project(key, model(MODEL_BYTES), PARTICIPANTS, ROUNDS, at_once=True)
    before, own = _processor_s(server), _own_s()
    updates, ends = asyncio.run(_fleet(server, key, tokens, within_s))
    took, own = _processor_s(server) - before, _own_s() - own
    print(f"{key}: all hand in at once" if not within_s else f"{key}: {PACE} hand in a second")
    print_rounds(updates, ends)
    count = PARTICIPANTS * ROUNDS
    print(
        f"on the processor for each update, its task and its model: {took / count * 1e3:.1f} ms all processes of the "
        f"server, {own / count * 1e3:.1f} ms all participants"
    )


def print_rounds(updates, ends):
    rates, tails = [], []
    for number in sorted(updates)[1:]:  # the first brings everybody's connection
        seconds = sorted(took for _, took in updates[number])
        starts = [at - took for at, took in updates[number]]
        rates.append(len(seconds) / (max(at for at, _ in updates[number]) - min(starts)))
        tails.append(seconds[int(len(seconds) * 0.99)])
    print(
        f"{PARTICIPANTS} participants x {MODEL_BYTES / 1e3:g} KB: {median(rates):.0f} updates a second, "
        f"p99 of an update {median(tails) * 1e3:.0f} ms (medians of {len(rates)} rounds)"
    )
    whole = [b - a for a, b in pairwise(ends[1:])]
    print(f"whole rounds: {median(whole):.2f} s from one round's first task to the next's")


def _processor_s(server):
    root = psutil.Process(server.pid)
    times = [process.cpu_times() for process in [root, *root.children(recursive=True)]]
    return sum(each.user + each.system for each in times)


def _own_s():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def _fleet(server, key, tokens, within_s):
    """When each update of each round was acknowledged and how long that took; and when rounds began."""
    body = model(MODEL_BYTES, seed=1)
    headers = headers_of(body)
    updates, began = {}, {}
    drawn = random.Random(1)

    async def participant(token):
        line = await Connection.to(server.url, token)
        asking = line.written("GET", f"/projects/{key}/next?wait=60&inline=true")
        while (task := await line.json(asking))["task"] != "finished":
            if task["task"] != "train":
                continue
            number = task["round"]
            began.setdefault(number, time.perf_counter())
            path = f"/projects/{key}/rounds/{number}/update?examples=1"
            handing_in = line.written("PUT", path, body, **headers)
            if within_s:
                await asyncio.sleep(within_s * drawn.random())
            asked = time.perf_counter()
            await line.ask(handing_in)
            now = time.perf_counter()
            updates.setdefault(number, []).append((now, now - asked))
        line.close()

    await asyncio.gather(*(participant(token) for token in tokens))
    return updates, [began[number] for number in sorted(began)]


if __name__ == "__main__":
    main()
