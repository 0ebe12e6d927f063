"""What an update of millions of numbers costs: seconds until it is acknowledged, memory of the server, aggregation.

    python benchmarks/fma.py [--millions 1 8] [--updates 5]

Starts a service in a temporary folder and sends updates to it as JSON over HTTP, as the published client does; the
text is made once, so that the client's own work is not measured. Memory is the sum over the service's processes of
what each has for itself (USS), the largest seen, less what they had before.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import httpx
import numpy as np
import psutil

PASSWORD = "correct horse battery"
ROW = 1000


class Memory:
    """Watches a process and its children, from a thread."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self.before = self.peak = self._now()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def added_mb(self) -> float:
        return (self.peak - self.before) / 1e6

    def _watch(self) -> None:
        while not self._stop.wait(0.05):
            self.peak = max(self.peak, self._now())

    def _now(self) -> int:
        total = 0
        for process in [self._root, *self._root.children(recursive=True)]:
            try:
                total += process.memory_full_info().uss
            except psutil.NoSuchProcess:
                continue
        return total


def service(data: Path) -> tuple[subprocess.Popen[str], str]:
    command = [sys.executable, "-m", "foedus", "serve", "--port", "0", "--data", str(data)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    line = next(line for line in process.stdout if "serves at" in line)
    url = next(word for word in line.split() if word.startswith("http"))
    return process, url


def developer(data: Path, url: str) -> httpx.Client:
    import os

    account = ["createsuperuser", "--noinput", "--username", "admin", "--email", "admin@example.org"]
    environment = {**os.environ, "FOEDUS_DATA": str(data), "DJANGO_SUPERUSER_PASSWORD": PASSWORD}
    subprocess.run([sys.executable, "-m", "foedus", "manage", *account], check=True, env=environment)
    calls = httpx.Client(base_url=url, timeout=600)
    token = calls.post("/api-token-auth/", json={"username": "admin", "password": PASSWORD}).json()["token"]
    calls.headers["Authorization"] = f"Token {token}"
    return calls


def body(model: int, millions: float, rng: np.random.Generator) -> tuple[bytes, float]:
    """An update of that many numbers in two layers, and the sum of them all."""
    rows = rng.normal(size=(int(millions * 1e6) // ROW, ROW))
    bias = rng.normal(size=ROW)
    data = json.dumps([rows.tolist(), bias.tolist()])
    text = f'{{"federated_model": {model}, "data": {data}, "base_aggregate": null}}'.encode()
    return text, float(rows.sum() + bias.sum())


def pieces(text: bytes) -> Iterator[bytes]:
    for start in range(0, len(text), 1 << 16):
        yield text[start : start + (1 << 16)]


def measure(calls: httpx.Client, process: subprocess.Popen[str], millions: float, updates: int) -> None:
    wanted = {
        "name": "bench", "developer": 1, "aggregator": "average_layers", "allow_aggregation": True,
        "requirement": "require_x_updates", "requirement_args": [updates],
    }  # fmt: skip
    model = calls.post("/api/v1/models/", json=wanted).raise_for_status().json()["id"]
    client = calls.post(f"/api/v1/models/{model}/register_client/").json()["uuid"]
    text, _ = body(model, millions, np.random.default_rng(0))
    headers = {"CLIENT-UUID": client, "Content-Type": "application/json", "Content-Length": str(len(text))}
    seconds = []
    with httpx.Client(base_url=str(calls.base_url), timeout=600) as sender:
        with Memory(process.pid) as receiving:
            for _ in range(updates):
                began = time.monotonic()
                sender.post("/api/v1/model_updates/", content=pieces(text), headers=headers).raise_for_status()
                seconds.append(time.monotonic() - began)
        with Memory(process.pid) as combining:
            began = time.monotonic()
            while not sender.get(
                f"/api/v1/models/{model}/get_latest_aggregate/", headers={"CLIENT-UUID": client}
            ).json():
                time.sleep(0.02)
            combined = time.monotonic() - began
        with Memory(process.pid) as answering:
            began = time.monotonic()
            size = 0
            with sender.stream(
                "GET", f"/api/v1/models/{model}/get_latest_model/", headers={"CLIENT-UUID": client}
            ) as got:
                for chunk in got.iter_raw():
                    size += len(chunk)
            fetched = time.monotonic() - began
    print(
        f"{millions:g} M numbers, {len(text) / 1e6:.0f} MB of JSON, {millions * 8:.0f} MB as float64:"
        f" acknowledged in {np.median(seconds):.2f} s (+{receiving.added_mb:.0f} MB)"
        f", {updates} averaged in {combined:.2f} s more (+{combining.added_mb:.0f} MB)"
        f", {size / 1e6:.0f} MB fetched in {fetched:.2f} s (+{answering.added_mb:.0f} MB)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--millions", type=float, nargs="+", default=[1.0, 8.0])
    parser.add_argument("--updates", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        process, url = service(data)
        try:
            calls = developer(data, url)
            for millions in options.millions:
                measure(calls, process, millions, options.updates)
            calls.close()
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main()
