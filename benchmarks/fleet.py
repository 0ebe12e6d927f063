"""A thousand participants that wait in long-polls and hand in small updates: updates a second, and how long each took.

And how long a round's decisions take where 100,000 are registered and 1,000 of them are there.
"""

import asyncio
import time
from itertools import pairwise
from statistics import median

import httpx
from benchmarks.machine import described
from benchmarks.service import Caller, headers_of, model, serving

PARTICIPANTS = 1000
MODEL_BYTES = 10_000
ROUNDS = 6  # the first brings everybody's connection


def main():
    print(described())
    with serving() as server:
        began = time.perf_counter()
        tokens = server.project("fleet", model(MODEL_BYTES), PARTICIPANTS, ROUNDS)
        print(f"enrolling {PARTICIPANTS}: {time.perf_counter() - began:.1f} s")
        updates, ends = asyncio.run(_fleet(server, tokens))
        print_rounds(updates, ends)
        began = time.perf_counter()
        Caller(server.url, server.token).json("GET", "/projects/fleet")
        print(f"asking what the project waits for: {(time.perf_counter() - began) * 1e3:.0f} ms")


def print_rounds(updates, ends):
    rates, tails = [], []
    for number in sorted(updates)[1:]:
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


async def _fleet(server, tokens):
    """When each update of each round was acknowledged and how long that took; and when rounds began."""
    body = model(MODEL_BYTES, seed=1)
    updates, began = {}, {}
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(base_url=f"{server.url}/foedus/v1", timeout=120, limits=limits) as client:

        async def participant(token):
            headers = {"Authorization": f"Bearer {token}"}
            while True:
                task = (await client.get("/projects/fleet/next?wait=60", headers=headers)).json()
                if task["task"] == "finished":
                    return
                if task["task"] != "train":
                    continue
                number = task["round"]
                began.setdefault(number, time.perf_counter())
                await client.get(task["checkpoint"]["href"].removeprefix("/foedus/v1"), headers=headers)
                asked = time.perf_counter()
                answer = await client.put(
                    f"/projects/fleet/rounds/{number}/update?examples=1",
                    content=body, headers={**headers, **headers_of(body)},
                )  # fmt: skip
                answer.raise_for_status()
                now = time.perf_counter()
                updates.setdefault(number, []).append((now, now - asked))

        await asyncio.gather(*(participant(token) for token in tokens))
    return updates, [began[number] for number in sorted(began)]


if __name__ == "__main__":
    main()
