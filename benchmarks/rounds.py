"""Full rounds a second through a real server, beside what the arithmetic and the disk alone would allow."""

import os
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.machine import described
from benchmarks.service import Participant, model, serving

from foedus.core.codecs import safetensors
from foedus.core.folding import Kind, Update
from foedus.core.strategies.fedavg import FedAvg

CASES = ((2, 1_000_000, 40), (8, 1_000_000, 20), (64, 1_000_000, 9), (2, 100_000_000, 9))
WARM_UP = 3


def main():
    print(described())
    print("ms a round (median): through the server; folding alone in memory; folding and storing each body durably")
    with serving() as server:
        for number, (participants, size_bytes, rounds) in enumerate(CASES):
            served = served_s(server, f"rounds-{number}", participants, size_bytes, rounds)
            folded = bare_s(participants, size_bytes, rounds, durable=False)
            stored = bare_s(participants, size_bytes, rounds, durable=True)
            print(
                f"{participants} participants x {size_bytes / 1e6:g} MB: {served * 1e3:6.1f} ms "
                f"({1 / served:.1f} rounds a second), {folded * 1e3:5.1f} ms ({served / folded:.1f} times), "
                f"{stored * 1e3:5.1f} ms ({served / stored:.1f} times)"
            )


def served_s(server, key, participants, size_bytes, rounds):
    """The median time from one round's task to the next round's, as one participant sees it."""
    tokens = server.project(key, model(size_bytes), participants, rounds)
    moments = []
    people = [
        Participant(
            server,
            key,
            token,
            model(size_bytes, seed),
            *([lambda: moments.append(time.perf_counter())] if seed == 1 else []),
        )
        for seed, token in enumerate(tokens, 1)
    ]
    for person in people:
        person.start()
    for person in people:
        person.join()
    return median(after - before for before, after in zip(moments[WARM_UP:], moments[WARM_UP + 1 :], strict=False))


def bare_s(participants, size_bytes, rounds, *, durable):
    """The same rounds as a loop in this process: read the updates, fold them, write the new model."""
    bodies = [model(size_bytes, seed) for seed in range(1, participants + 1)]
    strategy = FedAvg()
    state = strategy.init(safetensors.decode(model(size_bytes)))
    seconds = []
    with tempfile.TemporaryDirectory(prefix="foedus-bench-") as folder:
        for _ in range(rounds):
            began = time.perf_counter()
            if durable:
                for number, body in enumerate(bodies):
                    _store(Path(folder) / str(number), body)
            updates = (
                Update(key=str(number), weight=1.0, source=safetensors.decode(body), kind=Kind.WEIGHTS)
                for number, body in enumerate(bodies)
            )
            state = strategy.step(state, updates)
            made = safetensors.encode(state.weights)
            if durable:
                _store(Path(folder) / "model", made)
            seconds.append(time.perf_counter() - began)
    return median(seconds)


def _store(path, body):
    with path.open("wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())


if __name__ == "__main__":
    main()
