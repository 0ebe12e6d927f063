"""Memory of the whole server, idle and while 2, 8 or 64 participants train a large model.

``python benchmarks/run.py memory -- 2 8`` measures those numbers of participants only.
"""

import sys
import threading
import time
from collections import Counter
from pathlib import Path

import psutil
from benchmarks.machine import described
from benchmarks.service import Participant, model, serving

MODEL_BYTES = 100_000_000
PARTICIPANTS = (2, 8, 64)
ROUNDS = 2
SAMPLE_S = 0.05
AT_REST_S = 5.0  # after the start, when what it does at once is done
FIELDS = ("Rss", "Pss", "Pss_Anon")


def main():
    print(described())
    print("MB of all processes: Rss counts shared pages in each, Pss once; Pss_Anon leaves mapped files out")
    print("Pss is larger where nothing else on the machine has the same libraries open, and shares their files")
    with serving() as server:
        time.sleep(AT_REST_S)
        idle = measured(server.pid)
        print(f"idle:                                  {shown(idle)}")
        for participants in map(int, sys.argv[1:] or PARTICIPANTS):
            peak = peak_of(server, participants)
            models = (peak["Pss_Anon"] - idle["Pss_Anon"]) / MODEL_BYTES
            print(f"peak, {participants:2} participants x {MODEL_BYTES / 1e6:g} MB:        {shown(peak)}")
            print(f"  beyond idle without mapped files: {models:.2f} models", flush=True)


def peak_of(server, participants):
    """The most that the server took while so many trained."""
    key = f"memory-{participants}"
    tokens = server.project(key, model(MODEL_BYTES), participants, ROUNDS)
    bodies = [model(MODEL_BYTES, seed) for seed in (1, 2)]  # a participant's own would fill this machine's memory
    people = [Participant(server, key, token, bodies[i % 2]) for i, token in enumerate(tokens)]
    with Sampler(server.pid) as sampler:
        for person in people:
            person.start()
        for person in people:
            person.join()
    return sampler.peak


class Sampler(threading.Thread):
    """The largest of every field seen while the block ran."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self._pid, self._done = pid, threading.Event()
        self.peak = Counter()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self.join()

    def run(self):
        while not self._done.wait(SAMPLE_S):
            self.peak |= measured(self._pid)


def measured(pid):
    """Bytes of a process and its descendants, by field."""
    root = psutil.Process(pid)
    total = Counter()
    for process in [root, *root.children(recursive=True)]:
        for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines():
            name, _, value = line.partition(":")
            if name in FIELDS:
                total[name] += int(value.split()[0]) * 1024
    return total


def shown(fields):
    return ", ".join(f"{name} {fields[name] / 1e6:.0f}" for name in FIELDS)


if __name__ == "__main__":
    main()
