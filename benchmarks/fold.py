"""Folding many updates into their weighted mean: ours, Flower's, plain NumPy's, and how fast the bytes can be read.

Time on the processor, of all threads together: what a busy neighbour takes does not count. Reading, our fold and
NumPy's take turns in one process; Flower's has the same numbers in another. ``limit`` reads the same bytes from where
they are: sums of arrays in memory, reads of files into memory used again. ``even`` is our fold with all weights 1.
"""

import json
import subprocess
import sys
import tempfile
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
    print(f"ms on the processor, medians of {REPEATS}; float32")
    flower = environment(FLOWER)
    for case in CASES:
        count, elements, tensors = case
        print(f"{count} x {elements / 1e6:g}M in {tensors} tensors", flush=True)
        models = updates(*case)
        figures = in_memory(models)
        if flower is not None:
            figures["Flower"] = theirs(flower, case)
        show("memory", figures)
        with tempfile.TemporaryDirectory() as folder:
            sources = files(models, Path(folder))
            del models
            show("files", in_files(sources))


def show(where, figures):
    shown = ", ".join(f"{name} {seconds * 1e3:.0f}" for name, seconds in figures.items())
    ratios = f"{figures['limit'] / figures['foedus']:.2f} of the limit"
    if "Flower" in figures:
        ratios += f", {figures['Flower'] / figures['foedus']:.1f} times as fast as Flower"
    print(f"  {where}: {shown}: {ratios}", flush=True)


def updates(count, elements, tensors):
    """The same models for everybody."""
    rng = np.random.default_rng(7)
    size = elements // tensors
    return [[rng.standard_normal(size, np.float32) for _ in range(tensors)] for _ in range(count)]


def in_memory(models):
    from foedus.core.arrays import Arrays

    sources = [Arrays({str(j): tensor for j, tensor in enumerate(model)}) for model in models]
    return medians({"limit": lambda: read(models), **ours(sources), "NumPy": lambda: plain(models)})


def files(models, folder):
    """Each model as a file in ``folder``, which the system's cache still holds."""
    from foedus.core.arrays import Arrays
    from foedus.core.codecs import safetensors

    for i, model in enumerate(models):
        (folder / str(i)).write_bytes(safetensors.encode(Arrays({str(j): tensor for j, tensor in enumerate(model)})))
    return {folder / str(i): safetensors.open_source(folder / str(i)) for i in range(len(models))}


def in_files(sources):
    return medians({"limit": lambda: read_files(sources), **ours(sources.values())})


def ours(sources):
    from foedus.core.folding import Update, plain_mean, weighted_mean

    given = [Update(key=str(i), weight=i + 1.0, source=source) for i, source in enumerate(sources)]
    return {
        "foedus": lambda: weighted_mean(given),
        "one thread": lambda: weighted_mean(given, threads=1),
        "even": lambda: plain_mean(given),
    }


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
            began = time.process_time()
            work()
            seconds[name].append(time.process_time() - began)
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


def read_files(paths):
    """Every byte of the files, a quarter of a megabyte at once."""
    memory = bytearray(1 << 18)
    for path in paths:
        with path.open("rb", buffering=0) as file:
            while file.readinto(memory):
                pass


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(flower([int(word) for word in sys.argv[1:]])))
    else:
        main()
