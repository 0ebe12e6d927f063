"""How fast rows become statistics, beside a bare X'X of the same array and beside reading its memory.

``python benchmarks/run.py statistics_engine [-- 20 100]``: numbers of attributes. river is measured where it is
installed. It and scikit-learn keep far less (co-moments only IncrementalPCA, no higher moments), so their figures are
kind to them.
"""

import sys
import time
from functools import partial
from importlib.util import find_spec

import numpy as np
import pyarrow as pa
from benchmarks.machine import described
from threadpoolctl import threadpool_limits

from foedus.connectors.tables.arrow import Roles, learn_table
from foedus.core.statistics import Batch, Kind, Plan, Statistics, Table

ATTRIBUTES = (5, 20, 100, 500, 2000)
ARRAY_BYTES = 160 << 20
REPEATS = 3
THREADS = 2
RIVER_ROWS = 2_000


def main(words):
    print(described())
    print(f"best of {REPEATS} interleaved runs, {THREADS} threads, float64; share: of the rate of bare X'X")
    for attributes in map(int, words or ATTRIBUTES):
        compare(attributes)


def compare(d):
    n = ARRAY_BYTES // (8 * d)
    rng = np.random.default_rng(7)
    x = rng.normal(size=(n, d))
    y = (x[:, 0] > 0).astype(float)
    names = [f"a{k}" for k in range(d)]
    gaps = rng.random((n, d), dtype=np.float32) < 0.05
    some = gaps & (np.arange(d) % 10 == 0)
    table = pa.table({name: np.ascontiguousarray(x[:, k]) for k, name in enumerate(names)})
    ways = {
        "reading memory": x.sum,
        "bare X'X": lambda: x.T @ x,
        "statistics": partial(learned, names, x),
        "  of columns": partial(learned, names, np.asfortranarray(x)),
        "  of an Arrow table": partial(learn_table, table, Plan(), Roles(), threads=THREADS),
        "  5 % missing, every tenth column": partial(learned, names, np.where(some, np.nan, x)),
        "  5 % missing, every column": partial(learned, names, np.where(gaps, np.nan, x)),
        "  5 % of the rows missing but for one": partial(
            learned, names, np.where(gaps[:, :1] & (np.arange(d) > 0), np.nan, x)
        ),
        "  with sketches": partial(learned, names, x, Plan(sketches=True)),
        "  with squared products": partial(learned, names, x, Plan(products=True)),
        **scikit(x, y),
    }
    seconds = measured(ways)
    bare = seconds["bare X'X"]
    print(f"{d} attributes, {n} rows")
    for way, spent in seconds.items():
        print(f"  {way:36} {n / spent:14,.0f} rows/s {x.nbytes / spent / 1e9:7.2f} GB/s   share {bare / spent:5.2f}")
    if find_spec("river"):
        print(f"  {'river, covariance':36} {river(x, names):14,.0f} rows/s")


def learned(names, values, plan=None):
    with threadpool_limits(1, "blas"):
        table = Table(tuple(names), (Kind.CONTINUOUS,) * len(names), values)
        return Statistics.of(Batch([table]), plan, threads=THREADS)


def scikit(x, y):
    from sklearn.decomposition import IncrementalPCA
    from sklearn.naive_bayes import GaussianNB
    from sklearn.preprocessing import StandardScaler

    step = max(10_000, 2 * x.shape[1])

    def fed(model, *more):
        for start in range(0, len(x) - step, step):
            model.partial_fit(x[start : start + step], *(m[start : start + step] for m in more))

    def bayes():
        model = GaussianNB()
        model.partial_fit(x[:2], y[:2], classes=[0, 1])
        fed(model, y)

    ways = {"scikit-learn StandardScaler": lambda: fed(StandardScaler()), "scikit-learn GaussianNB": bayes}
    if x.shape[1] <= 100:  # beyond, its decompositions take minutes
        ways["scikit-learn IncrementalPCA"] = lambda: fed(IncrementalPCA())
    return ways


def river(x, names):
    from river.covariance import EmpiricalCovariance

    model = EmpiricalCovariance()
    rows = [dict(zip(names, row, strict=True)) for row in x[:RIVER_ROWS].tolist()]
    start = time.perf_counter()
    for row in rows:
        model.update(row)
    return len(rows) / (time.perf_counter() - start)


def measured(ways):
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(REPEATS):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            best[name] = min(best[name], time.perf_counter() - start)
    return best


if __name__ == "__main__":
    main(sys.argv[1:])
