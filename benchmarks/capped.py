"""A model larger than the memory that the whole server may have: the system itself sets the limit, and enforces it.

``python benchmarks/run.py capped -- 8000 1000`` trains a model of 8 GB, in a control group of 1 GB. That counts cached
pages of files too, so the server can use no more memory than that in any way; were it to, the system would kill it.
"""

import base64
import contextlib
import hashlib
import http.client
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from benchmarks.machine import described
from benchmarks.memory import Sampler, measured, shown
from benchmarks.service import SAFETENSORS, Caller, serving

from foedus.core.arrays import Layout, TensorSpec
from foedus.core.codecs import safetensors

MODEL_MB, CAP_MB = 2000, 300
PARTICIPANTS = 2
ROUNDS = 1
TENSORS = 10
PIECE_BYTES = 1 << 20
TIMEOUT_S = 900
GROUPS = Path("/sys/fs/cgroup")


def main(model_mb=MODEL_MB, cap_mb=CAP_MB):
    print(described())
    with tempfile.TemporaryDirectory(prefix="foedus-bench-") as folder, group(cap_mb * 1_000_000) as inside:
        bodies = [Body(Path(folder) / str(seed), model_mb * 1_000_000, seed) for seed in range(PARTICIPANTS)]
        with inside.joined():  # who is started there stays there
            server = serving()
            running = server.__enter__()
        try:
            idle = measured(running.pid)
            print(f"a server that may have {cap_mb} MB; idle: {shown(idle)}", flush=True)
            began = time.monotonic()
            with Sampler(running.pid) as sampler:
                timed = trained(running, bodies)
            seconds = time.monotonic() - began
            print(f"{PARTICIPANTS} participants x {model_mb} MB, {ROUNDS} round in {seconds:.0f} s: {timed}")
            print(f"peak: {shown(sampler.peak)}; all that the system counted: {inside.peak() / 1e6:.0f} MB")
        finally:
            server.__exit__(None, None, None)


class Body:
    """A model in a file that never is in memory; its values repeat, its digest is known."""

    def __init__(self, path, size_bytes, seed):
        self.path = path
        values = np.random.default_rng(seed).standard_normal(PIECE_BYTES // 4, np.float32)
        piece = (values / 100).tobytes()
        pieces = size_bytes // TENSORS // len(piece)
        layout = Layout(tuple(TensorSpec(f"layer{i}", (pieces * len(piece) // 4,)) for i in range(TENSORS)))
        digest = hashlib.sha256()
        with path.open("wb") as file:
            for part in (safetensors.header_of(layout, {}), *[piece] * (pieces * TENSORS)):
                digest.update(part)
                file.write(part)
        self.size_bytes = path.stat().st_size
        self.headers = {
            "Content-Type": SAFETENSORS,
            "Content-Length": str(self.size_bytes),
            "Content-Digest": f"sha-256=:{base64.b64encode(digest.digest()).decode()}:",
        }


def trained(server, bodies):
    """Seconds of each step of one round, in which participants hand in what they have."""
    seconds = {}

    def operator():  # anew each time: the server closes what is idle for as long as such a body takes
        return Caller(server.url, server.token)

    rule = {"name": "quorum", "options": {"minimum": len(bodies), "rounds": ROUNDS}}
    operator().json("POST", "/projects", {"key": "capped", "policy": rule})
    with lap(seconds, "first model"):
        put(server, server.token, "/projects/capped/model", bodies[0])
    keys = operator().json("POST", "/projects/capped/enrolment-keys", {"count": len(bodies)})["items"]
    tokens = [Caller(server.url).json("POST", "/enrol", {"key": item["key"]})["token"] for item in keys]
    for token in tokens:
        Caller(server.url, token).json("GET", "/projects/capped/next?wait=0")  # now the server knows that it is there
    for token in tokens:
        wait_for(Caller(server.url, token), "train")
    with lap(seconds, "download"):
        Caller(server.url, tokens[0]).download("/projects/capped/checkpoints/0/model")
    with lap(seconds, "updates"):
        threads = [
            threading.Thread(target=put, args=(server, token, "/projects/capped/rounds/1/update?examples=1", body))
            for token, body in zip(tokens, bodies, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    with lap(seconds, "combining"):
        wait_for(Caller(server.url, tokens[0]), "finished")
    with lap(seconds, "download of the result"):
        Caller(server.url, tokens[0]).download("/projects/capped/checkpoints/1/model")
    return ", ".join(f"{name} {value:.0f} s" for name, value in seconds.items())


def put(server, token, path, body):
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=TIMEOUT_S, blocksize=PIECE_BYTES)
    with body.path.open("rb") as file:
        headers = {**body.headers, "Authorization": f"Bearer {token}"}
        connection.request("PUT", f"/foedus/v1{path}", file, headers)
    answer = connection.getresponse()
    if answer.status != 201:
        raise RuntimeError(f"PUT {path}: {answer.status} {answer.read(300)!r}")
    connection.close()


def wait_for(caller, task):
    ends_at = time.monotonic() + TIMEOUT_S
    while (found := caller.json("GET", "/projects/capped/next?wait=30"))["task"] != task:
        if time.monotonic() > ends_at or found["task"] == "finished":
            raise RuntimeError(f"waited for {task!r}, was told {found}")


@contextlib.contextmanager
def lap(seconds, name):
    began = time.monotonic()
    yield
    seconds[name] = time.monotonic() - began


class Group:
    """A control group for memory, of either version of Linux's."""

    def __init__(self, path, parent, limit, peak):
        self.path, self._parent, self._limit, self._peak = path, parent, limit, peak

    def cap(self, size_bytes):
        (self.path / self._limit).write_text(str(size_bytes))

    def peak(self):
        return int((self.path / self._peak).read_text())

    @contextlib.contextmanager
    def joined(self):
        (self.path / "cgroup.procs").write_text(str(os.getpid()))
        try:
            yield
        finally:
            (self._parent / "cgroup.procs").write_text(str(os.getpid()))


@contextlib.contextmanager
def group(size_bytes):
    found = {words[1]: words[2] for words in (line.split(":", 2) for line in own_groups())}
    old = GROUPS / "memory"
    if "memory" in found and old.is_dir():
        parent, files = old / found["memory"].lstrip("/"), ("memory.limit_in_bytes", "memory.max_usage_in_bytes")
    else:
        parent, files = GROUPS / found.get("", "/").lstrip("/"), ("memory.max", "memory.peak")
    made = Group(parent / f"foedus-bench-{os.getpid()}", parent, *files)
    try:
        made.path.mkdir()
        made.cap(size_bytes)
    except OSError as exc:
        sys.exit(f"this machine lets nobody make a control group here, so nothing was measured: {exc}")
    try:
        yield made
    finally:
        made.path.rmdir()


def own_groups():
    return Path("/proc/self/cgroup").read_text().splitlines()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
