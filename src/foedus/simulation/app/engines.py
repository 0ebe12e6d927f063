"""Who does the work: this process, processes of this machine, or the workers of a Dask cluster.

An engine gives the results of batches in the order of the batches, with no more of them under way than keep its workers
busy: what is not asked for yet costs no memory.
"""

import logging
import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import forkserver, resource_tracker
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

from foedus.core.errors import Invalid, Unavailable
from foedus.simulation.app.work import Batch, Bytes, Result, work

GRACE_S = 2.0
AHEAD = 2  # batches a worker: one under way and one waiting


@dataclass(frozen=True, slots=True)
class Order:
    """Batches that begin from one model, and from one state of the strategy."""

    model: Bytes
    state: Bytes | None
    batches: tuple[Batch, ...]


class Engine(Protocol):
    workers: int

    def results(self, order: Order) -> Iterator[tuple[Result, ...]]: ...


class Here:
    """This process, one after the other."""

    workers = 1

    def results(self, order: Order) -> Iterator[tuple[Result, ...]]:
        return (work(batch, order.model, order.state) for batch in order.batches)


class Processes:
    """Processes of this machine. Each loads the app once."""

    def __init__(self, pool: ProcessPoolExecutor, workers: int) -> None:
        self._pool, self.workers = pool, workers

    def results(self, order: Order) -> Iterator[tuple[Result, ...]]:
        def submit(batch: Batch) -> Future[tuple[Result, ...]]:
            return self._pool.submit(work, batch, order.model, order.state)

        try:
            yield from _in_order(submit, order.batches, AHEAD * self.workers)
        except BrokenProcessPool as exc:
            raise Unavailable("a worker's process died, by the app or for lack of memory; try fewer --workers") from exc


class Dask:
    """The workers of a Dask cluster. Models travel once a round to each of them."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.workers = max(1, len(client.nthreads()))

    def results(self, order: Order) -> Iterator[tuple[Result, ...]]:
        contents = [_bytes(order.model), None if order.state is None else _bytes(order.state)]
        model, state = self._client.scatter(contents, broadcast=True, hash=False)

        def submit(batch: Batch) -> Future[tuple[Result, ...]]:
            future: Future[tuple[Result, ...]] = self._client.submit(work, batch, model, state, pure=False)
            return future

        yield from _in_order(submit, order.batches, AHEAD * self.workers)


@contextmanager
def local(workers: int) -> Iterator[Engine]:
    """``workers`` processes; with one, this process does the work itself."""
    if workers == 1:
        yield Here()
        return
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["foedus.simulation.app.work"])
    with _not_interrupted():
        forkserver.ensure_running()
    others = set(multiprocessing.active_children())
    with ProcessPoolExecutor(workers, context, _pass_over_interrupts) as pool:
        for _ in range(workers):
            pool.submit(int)  # they start while the rest is made ready
        try:
            yield Processes(pool, workers)
        except BaseException:
            _end(set(multiprocessing.active_children()) - others)  # the pool, now broken, waits for nothing
            raise


def _end(workers: Iterable[BaseProcess]) -> None:
    """What they are in the midst of may take an hour."""
    workers = list(workers)
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.join(GRACE_S)
        worker.kill()


@contextmanager
def on_dask(address: str | None, workers: int, *, timeout_s: float = 60.0) -> Iterator[Engine]:
    """A cluster by its scheduler's address, on whose workers the app must be importable; None: one on this machine.

    Dask moves tasks with pickle: use a cluster that you trust. Raises Unavailable when it does not answer.
    """
    try:
        distributed: Any = import_module("distributed")
    except ModuleNotFoundError as exc:
        raise Invalid("--engine dask needs more packages: pip install 'foedus[dask]'") from exc
    try:
        with _not_interrupted():
            cluster: Any = address or distributed.LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                dashboard_address=None,
                memory_limit=0,
                silence_logs=logging.ERROR,
            )
        client = distributed.Client(cluster, timeout=timeout_s)
    except (OSError, TimeoutError) as exc:
        raise Unavailable(f"the Dask cluster at {address or 'this machine'} does not answer") from exc
    try:
        yield Dask(client)
    finally:
        client.close()
        if address is None:
            cluster.close()


@contextmanager
def _not_interrupted() -> Iterator[None]:
    """What is started here leaves Ctrl-C, which reaches every process of a terminal, to this process, which ends it."""
    resource_tracker.ensure_running()  # to start it later would let interrupts through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _pass_over_interrupts() -> None:
    """For a worker. Not by ignoring the signal: the programs that an app starts would do so, too, and live on."""
    signal.signal(signal.SIGINT, lambda _number, _frame: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _bytes(content: Bytes) -> bytes:
    return content if isinstance(content, bytes) else content.read_bytes()


def _in_order(
    submit: Callable[[Batch], Future[tuple[Result, ...]]], batches: Iterable[Batch], ahead: int
) -> Iterator[tuple[Result, ...]]:
    waiting: deque[Future[tuple[Result, ...]]] = deque()
    for batch in batches:
        waiting.append(submit(batch))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
