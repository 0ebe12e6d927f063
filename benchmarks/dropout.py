"""A participant that dies in the middle of a round: how long until the round goes on without it."""

import threading
import time
from statistics import median

from benchmarks.machine import described
from benchmarks.service import Caller, headers_of, model, serving

HEARTBEAT_TIMEOUT_S = 5.0
TRAINS_S = 20.0  # what a round takes those who stay
REPEATS = 5
PARTICIPANTS = 3


def main():
    print(described())
    late = []
    with serving() as server:
        for repeat in range(REPEATS):
            late.append(closed_out_s(server, f"dropout-{repeat}"))
            print(f"given up {late[-1]:.2f} s after its heartbeat's time-out of {HEARTBEAT_TIMEOUT_S:g} s", flush=True)
    print(f"median of {REPEATS}: {median(late):.2f} s in a round of {TRAINS_S:g} s")


def closed_out_s(server, key):
    """Seconds from the end of the dead participant's heartbeat until its round says that it is lost."""
    body = model(1_000_000)
    policy = {
        "name": "quorum",
        "options": {"minimum": PARTICIPANTS, "quorum": 0.5, "rounds": 1, "heartbeat_timeout_s": HEARTBEAT_TIMEOUT_S},
    }
    tokens = server.project(key, body, PARTICIPANTS, 1, policy=policy)
    callers = [Caller(server.url, token) for token in tokens]
    for caller in callers:
        caller.json("GET", f"/projects/{key}/next?wait=0")  # signs of life: the last of them starts the round
    tasks = [caller.json("GET", f"/projects/{key}/next?wait=10") for caller in callers]
    died_at = time.perf_counter()  # the last is heard of no more
    done = threading.Event()
    alive = [
        threading.Thread(target=_train, args=(caller, key, task["round"], body, done), daemon=True)
        for caller, task in zip(callers[:-1], tasks[:-1], strict=True)
    ]
    for thread in alive:
        thread.start()
    _wait_for(server, key, "participant.lost")
    lost_at = time.perf_counter()
    done.set()
    for thread in alive:
        thread.join()
    return lost_at - died_at - HEARTBEAT_TIMEOUT_S


def _train(caller, key, number, body, done):
    """Live on until the round is over for the one that died, or the time of training is."""
    ends_at = time.monotonic() + TRAINS_S
    while time.monotonic() < ends_at and not done.wait(HEARTBEAT_TIMEOUT_S / 3):
        caller.json("POST", f"/projects/{key}/heartbeat", {"round": number})
    caller.call("PUT", f"/projects/{key}/rounds/{number}/update?examples=1", body, **headers_of(body))


def _wait_for(server, key, kind):
    with Caller(server.url, server.token).stream(f"/projects/{key}/events") as lines:
        for line in lines:
            if line.strip() == f"event: {kind}".encode():
                return
    raise RuntimeError(f"the events ended before {kind}")


if __name__ == "__main__":
    main()
