"""Who computes: threads of this process, or the workers of a Dask cluster."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial, reduce
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
from threadpoolctl import threadpool_limits

from foedus.connectors.tables.arrow import files
from foedus.connectors.tables.arrow.batches import Roles, learned
from foedus.core.errors import Invalid, Unavailable
from foedus.core.statistics import Plan, Statistics, decode, encode

_T = TypeVar("_T")
Engine = Callable[[Sequence[Path], Plan, Roles], Iterator[Statistics]]
"""Gives the statistics of each file, in the order of the files."""


def learn_files(sources: Iterable[str | Path], plan: Plan, roles: Roles, *, engine: Engine | None = None) -> Statistics:
    """The statistics of all files, and of those in folders. Raises Invalid, NotFound, Conflict (kinds that differ)."""
    paths = files.found(sources)
    if not paths:
        raise Invalid("there is nothing to learn: no Parquet, CSV or Arrow file was found")
    return reduce(Statistics.merge, (engine or locally())(paths, plan, roles), Statistics.empty(plan))


def learn_table(table: pa.Table, plan: Plan, roles: Roles, *, threads: int = 2) -> Statistics:
    """The statistics of an Arrow table in memory. Raises Invalid, Conflict."""
    rows = max(1024, files.BATCH_BYTES // (8 * max(1, table.num_columns)))
    with _workers(threads) as pool:
        return _pooled(pool, threads, table.to_batches(max_chunksize=rows), plan, roles)


def locally(threads: int = 2) -> Engine:
    """On threads of this process. Batches of a file are learned while the next are read."""

    def engine(paths: Sequence[Path], plan: Plan, roles: Roles) -> Iterator[Statistics]:
        with _workers(threads) as pool:
            for path in paths:
                yield _pooled(pool, threads, files.batches(path, roles), plan, roles)

    return engine


def on_dask(address: str | None = None, *, timeout_s: float = 60.0) -> Engine:
    """On a Dask cluster (None: one on this machine), a file a task. Files must have the same paths on its workers.

    Dask moves tasks with pickle: use a cluster that you trust, over TLS. Raises Unavailable when it does not answer.
    """

    def engine(paths: Sequence[Path], plan: Plan, roles: Roles) -> Iterator[Statistics]:
        distributed: Any = import_module("distributed")
        with ExitStack() as stack:
            try:
                cluster = address or stack.enter_context(distributed.LocalCluster(dashboard_address=None))
                client = stack.enter_context(distributed.Client(cluster, timeout=timeout_s))
            except (OSError, TimeoutError) as exc:
                raise Unavailable(f"the Dask cluster at {address} does not answer") from exc
            tasks = (partial(_learned_file, str(path), plan, roles) for path in paths)
            ahead = 2 * max(1, len(client.nthreads()))
            for data in _in_order(partial(client.submit, pure=False), tasks, ahead):
                yield decode(data, foreign=False)

    return engine


def _learned_file(path: str, plan: Plan, roles: Roles) -> bytes:
    """What a worker does; statistics travel as their bytes."""
    (statistics,) = locally(1)([Path(path)], plan, roles)
    return encode(statistics)


class _workers:  # noqa: N801  # a context manager, used like a function
    """A pool of threads, each with BLAS on one thread: threads within threads only wait for one another."""

    def __init__(self, threads: int) -> None:
        self._pool, self._limits = ThreadPoolExecutor(threads), threadpool_limits(1, "blas")

    def __enter__(self) -> ThreadPoolExecutor:
        return self._pool

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._limits.restore_original_limits()


def _pooled(
    pool: ThreadPoolExecutor, threads: int, batches: Iterable[pa.RecordBatch], plan: Plan, roles: Roles
) -> Statistics:
    tasks = (partial(learned, batch, plan, roles) for batch in batches)
    return reduce(Statistics.merge, _in_order(pool.submit, tasks, 2 * threads), Statistics.empty(plan))


def _in_order(
    submit: Callable[[Callable[[], _T]], Future[_T]], tasks: Iterable[Callable[[], _T]], ahead: int
) -> Iterator[_T]:
    """The results of tasks in their order, with at most ``ahead`` of them on the way."""
    waiting: deque[Future[_T]] = deque()
    for task in tasks:
        waiting.append(submit(task))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
