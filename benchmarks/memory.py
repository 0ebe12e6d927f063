"""Memory of the whole server, idle and while two participants train a large model."""

import threading
from collections import Counter
from pathlib import Path

import psutil
from benchmarks.machine import described
from benchmarks.service import Participant, model, serving

MODEL_BYTES = 100_000_000
PARTICIPANTS = 2
ROUNDS = 2
SAMPLE_S = 0.05
FIELDS = ("Rss", "Pss", "Pss_Anon")


def main():
    print(described())
    print("MB of all processes: Rss counts shared pages in each, Pss once; Pss_Anon leaves mapped files out")
    with serving() as server:
        idle = measured(server.pid)
        print(f"idle:                                  {shown(idle)}")
        tokens = server.project("memory", model(MODEL_BYTES), PARTICIPANTS, ROUNDS)
        people = [
            Participant(server, "memory", token, model(MODEL_BYTES, seed)) for seed, token in enumerate(tokens, 1)
        ]
        with Sampler(server.pid) as sampler:
            for person in people:
                person.start()
            for person in people:
                person.join()
        peak = sampler.peak
        print(f"peak, {PARTICIPANTS} participants x {MODEL_BYTES / 1e6:g} MB:         {shown(peak)}")
        models = (peak["Pss_Anon"] - idle["Pss_Anon"]) / MODEL_BYTES
        print(f"memory beyond idle without mapped files: {models:.2f} models")


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
