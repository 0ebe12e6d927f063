"""Folding many updates into their weighted mean: ours, Flower's, plain NumPy's, and how fast the bytes can be read.

Two figures of each: time on the processor, of all threads together, which a busy neighbour hardly changes; and time on
the wall, which is what somebody waits for. Reading, our fold and NumPy's take turns in one process; Flower's has the
same numbers in another. ``limit`` reads the same bytes from where they are (sums of arrays in memory, reads of files
into memory used again), in one thread or two, whichever is faster. ``one thread`` is our fold in one, ``even`` with all
weights 1, ``without C`` by NumPy alone, as where there was no compiler when foedus was installed.
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

    from foedus.core.compiled.library import vectors

    print(described())
    print(f"ms, medians of {REPEATS}; float32; the compiled loop: {vectors() or 'none'}")
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
    for i, clock in enumerate(("processor", "wall")):
        seconds = {name: both[i] for name, both in figures.items()}
        seconds["limit"] = min(seconds["limit"], seconds.pop("limit, one thread"))
        shown = ", ".join(f"{name} {value * 1e3:.0f}" for name, value in seconds.items())
        ratios = f"{seconds['limit'] / seconds['foedus']:.2f} of the limit"
        if "Flower" in seconds:
            ratios += f", {seconds['Flower'] / seconds['foedus']:.1f} times as fast as Flower"
        print(f"  {where}, {clock}: {shown}: {ratios}", flush=True)


def updates(count, elements, tensors):
    """The same models for everybody."""
    rng = np.random.default_rng(7)
    size = elements // tensors
    return [[rng.standard_normal(size, np.float32) for _ in range(tensors)] for _ in range(count)]


def in_memory(models):
    from foedus.core.arrays import Arrays

    sources = [Arrays({str(j): tensor for j, tensor in enumerate(model)}) for model in models]
    limits = {"limit": lambda: read(models), "limit, one thread": lambda: read(models, threads=1)}
    return medians({**limits, **ours(sources), "NumPy": lambda: plain(models)})


def files(models, folder):
    """Each model as a file in ``folder``, which the system's cache still holds."""
    from foedus.core.arrays import Arrays
    from foedus.core.codecs import safetensors

    for i, model in enumerate(models):
        (folder / str(i)).write_bytes(safetensors.encode(Arrays({str(j): tensor for j, tensor in enumerate(model)})))
    return {folder / str(i): safetensors.open_source(folder / str(i)) for i in range(len(models))}


def in_files(sources):
    limits = {"limit": lambda: read_files(sources), "limit, one thread": lambda: read_files(sources, threads=1)}
    return medians({**limits, **ours(sources.values())})


def ours(sources):
    from foedus.core.folding import Update, plain_mean, weighted_mean

    given = [Update(key=str(i), weight=i + 1.0, source=source) for i, source in enumerate(sources)]
    return {
        "foedus": lambda: weighted_mean(given),
        "one thread": lambda: weighted_mean(given, threads=1),
        "even": lambda: plain_mean(given),
        "without C": lambda: uncompiled(weighted_mean, given),
    }


def uncompiled(fold, given):
    from foedus.core.compiled import means

    loop, means.fold_loop = means.fold_loop, lambda: None
    fold(given)
    means.fold_loop = loop


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
    """Seconds of each on the processor and on the wall, in turn, so that a busy neighbour disturbs all alike."""
    clocks = (time.process_time, time.perf_counter)
    seconds = {name: [] for name in works}
    for _ in range(REPEATS + 1):  # the first warms up
        for name, work in works.items():
            began = [clock() for clock in clocks]
            work()
            seconds[name].append([clock() - before for clock, before in zip(clocks, began, strict=True)])
    return {name: [median(values) for values in zip(*taken[1:], strict=True)] for name, taken in seconds.items()}


def plain(models):
    """As anybody would write it, in float64 as ours."""
    total = [np.zeros(tensor.shape) for tensor in models[0]]
    for weight, model in enumerate(models, 1):
        for i, tensor in enumerate(model):
            total[i] += weight * tensor
    return [mean / sum(range(1, len(models) + 1)) for mean in total]


def read(models, threads=THREADS):
    """A sum of everything, which is nearly all reading."""
    pieces = [
        piece for model in models for tensor in model for piece in np.array_split(tensor, -(-tensor.size // 1_000_000))
    ]
    shared(lambda share: [piece.sum() for piece in share], pieces, threads)


def read_files(paths, threads=THREADS):
    """Every byte of the files, a quarter of a megabyte at once."""
    shared(read_whole, list(paths), threads)


def read_whole(paths):
    memory = bytearray(1 << 18)
    for path in paths:
        with path.open("rb", buffering=0) as file:
            while file.readinto(memory):
                pass


def shared(work, things, threads):
    if threads == 1:
        work(things)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, [things[i::threads] for i in range(threads)]))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(flower([int(word) for word in sys.argv[1:]])))
    else:
        main()
