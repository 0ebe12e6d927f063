"""A thousand participants that wait in long-polls and hand in small updates: updates a second, and how long each took.

``python benchmarks/run.py fleet -- 200 4`` takes 200 of them through 4 rounds. The server runs on the same machine as
all its participants; what its web process took of the processor is printed beside, because that does not depend on who
else is at work.
"""

import asyncio
import sys
import time
from itertools import pairwise
from statistics import median

import psutil
from benchmarks.light import Connection
from benchmarks.machine import described
from benchmarks.service import Caller, headers_of, model, serving

MODEL_BYTES = 10_000
PARTICIPANTS, ROUNDS = (*map(int, sys.argv[1:]), *(1000, 6)[len(sys.argv) - 1 :])


def main():
    print(described())
    with serving() as server:
        began = time.perf_counter()
        tokens = server.project("fleet", model(MODEL_BYTES), PARTICIPANTS, ROUNDS, at_once=True)
        print(f"enrolling {PARTICIPANTS}: {time.perf_counter() - began:.1f} s")
        before = _processor_s(server)
        updates, ends = asyncio.run(_fleet(server, tokens))
        took = (_processor_s(server) - before) / (PARTICIPANTS * ROUNDS)
        print_rounds(updates, ends)
        print(
            f"all processes of the server: {took * 1e3:.1f} ms on the processor for each update, its task and its model"
        )
        began = time.perf_counter()
        Caller(server.url, server.token).json("GET", "/projects/fleet")
        print(f"asking what the project waits for: {(time.perf_counter() - began) * 1e3:.0f} ms")


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


async def _fleet(server, tokens):
    """When each update of each round was acknowledged and how long that took; and when rounds began."""
    body = model(MODEL_BYTES, seed=1)
    headers = headers_of(body)
    updates, began = {}, {}

    async def participant(token):
        line = await Connection.to(server.url, token)
        asking = line.written("GET", "/projects/fleet/next?wait=60")
        while (task := await line.json(asking))["task"] != "finished":
            if task["task"] != "train":
                continue
            number = task["round"]
            began.setdefault(number, time.perf_counter())
            await line.ask(line.written("GET", task["checkpoint"]["href"].removeprefix("/foedus/v1")))
            path = f"/projects/fleet/rounds/{number}/update?examples=1"
            handing_in = line.written("PUT", path, body, **headers)
            asked = time.perf_counter()
            await line.ask(handing_in)
            now = time.perf_counter()
            updates.setdefault(number, []).append((now, now - asked))
        line.close()

    await asyncio.gather(*(participant(token) for token in tokens))
    return updates, [began[number] for number in sorted(began)]


if __name__ == "__main__":
    main()
