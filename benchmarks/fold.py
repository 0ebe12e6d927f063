"""Folding many updates into their weighted mean: ours, Flower's, plain NumPy's, and how fast the bytes can be read."""

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import numpy as np

REPEATS = 5
THREADS = 2
CASES = tuple(
    (count, elements, tensors) for count, elements in ((16, 10_000_000), (64, 1_000_000)) for tensors in (1, 200)
)


def main():
    from benchmarks.machine import described
    from benchmarks.rivals import FLOWER, environment

    print(described())
    print(f"ms (median of {REPEATS}); limit: reading the same bytes with {THREADS} threads; all in memory, float32")
    flower = environment(FLOWER)
    for case in CASES:
        models = updates(*case)
        figures = ours(models)
        del models
        if flower is not None:
            figures["Flower"] = theirs(flower, case)
        count, elements, tensors = case
        shown = ", ".join(f"{name} {seconds * 1e3:.0f}" for name, seconds in figures.items())
        ratios = f"{figures['limit'] / figures['foedus']:.2f} of the limit"
        if "Flower" in figures:
            ratios += f", {figures['Flower'] / figures['foedus']:.1f} times as fast as Flower"
        print(f"{count} x {elements / 1e6:g}M in {tensors} tensors: {shown}: {ratios}", flush=True)


def updates(count, elements, tensors):
    """The same models for everybody."""
    rng = np.random.default_rng(7)
    size = elements // tensors
    return [[rng.standard_normal(size, np.float32) for _ in range(tensors)] for _ in range(count)]


def ours(models):
    from foedus.core.arrays import Arrays
    from foedus.core.folding import Update, weighted_mean

    given = [
        Update(key=str(i), weight=i + 1.0, source=Arrays({str(j): tensor for j, tensor in enumerate(model)}))
        for i, model in enumerate(models)
    ]
    return medians(
        {"limit": lambda: read(models), "foedus": lambda: weighted_mean(given), "NumPy": lambda: plain(models)}
    )


def theirs(programs, case):
    """Flower's ``aggregate`` in its own environment, with this file as its only program."""
    done = subprocess.run(
        [programs / "python", "-m", "benchmarks.fold", *map(str, case)],
        check=True, capture_output=True, text=True, cwd=Path(__file__).parents[1],
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def flower(case):
    from flwr.server.strategy.aggregate import aggregate

    results = [(model, i + 1) for i, model in enumerate(updates(*case))]
    return medians({"Flower": lambda: aggregate(results)})["Flower"]


def medians(works):
    """Seconds of each, in turn, so that a busy neighbour disturbs all alike."""
    seconds = {name: [] for name in works}
    for _ in range(REPEATS + 1):  # the first warms up
        for name, work in works.items():
            began = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - began)
    return {name: median(values[1:]) for name, values in seconds.items()}


def plain(models):
    """As anybody would write it, in float64 as ours."""
    total = [np.zeros(tensor.shape) for tensor in models[0]]
    for weight, model in enumerate(models, 1):
        for i, tensor in enumerate(model):
            total[i] += weight * tensor
    return [mean / sum(range(1, len(models) + 1)) for mean in total]


def read(models):
    """A sum of everything: no fold can be faster than that."""
    pieces = [
        piece for model in models for tensor in model for piece in np.array_split(tensor, -(-tensor.size // 1_000_000))
    ]
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda share: [piece.sum() for piece in share], [pieces[i::THREADS] for i in range(THREADS)]))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(flower([int(word) for word in sys.argv[1:]])))
    else:
        main()
