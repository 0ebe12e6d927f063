"""What updates cost: how many a second, seconds until one is acknowledged and averaged, memory of the server.

    python benchmarks/fma.py [--millions 1 8] [--updates 5] [--small 100] [--many 100]
    python benchmarks/fma.py --original [--millions 1 8] [--updates 5]

``--small``: how many updates of 10 KB and of 1 MB are sent, as JSON and as safetensors. ``--many``: how many of 25 MB
are averaged at once; 0 leaves either out. ``--original`` measures the method of the original service instead: every
update is parsed into lists, then all are averaged.

Starts a service in a temporary folder and sends updates to it over HTTP, as the published client does; the text is made
once, so that the client's own work is not measured. Memory is the sum over the service's processes of what each has for
itself (USS), the largest seen, less what they had before.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Self

import httpx
import numpy as np
import psutil

from foedus.core.arrays import Arrays
from foedus.core.codecs import safetensors

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


def opened(calls: httpx.Client, updates: int) -> tuple[int, dict[str, str]]:
    """A model that makes an aggregate of so many updates, and the headers of a client."""
    wanted = {
        "name": "bench", "developer": 1, "aggregator": "average_layers", "allow_aggregation": True,
        "requirement": "require_x_updates", "requirement_args": [updates],
    }  # fmt: skip
    model = calls.post("/api/v1/models/", json=wanted).raise_for_status().json()["id"]
    uuid = calls.post(f"/api/v1/models/{model}/register_client/").json()["uuid"]
    return model, {"CLIENT-UUID": uuid}


def sent(calls: httpx.Client, model: int, client: dict[str, str], layer: np.ndarray, *, binary: bool) -> httpx.Request:
    """A request that hands in an update of one layer."""
    if binary:
        content = b"".join(safetensors.chunks(Arrays({"weights": layer})))
        headers = {**client, "Content-Type": "application/vnd.safetensors"}
        return calls.build_request(
            "POST", "/api/v1/model_updates/", params={"federated_model": model}, content=content, headers=headers
        )
    body = {"federated_model": model, "data": layer.tolist(), "base_aggregate": None}
    return calls.build_request("POST", "/api/v1/model_updates/", json=body, headers=client)


def rate(calls: httpx.Client, n_numbers: int, updates: int, *, binary: bool) -> None:
    """Updates accepted in a second from one client after the other, and the time from the last one to its aggregate."""
    model, client = opened(calls, updates)
    request = sent(calls, model, client, np.random.default_rng(0).normal(size=n_numbers), binary=binary)
    size_kb = len(request.content) / 1e3
    with httpx.Client(timeout=600) as plain:
        began = time.monotonic()
        for _ in range(updates):
            plain.send(request).raise_for_status()
        seconds = time.monotonic() - began
        last = calls.get(f"/api/v1/model_updates/?federated_model={model}&page_size=1").json()[0]
        while not (found := calls.get(f"/api/v1/model_aggregates/?federated_model={model}").json()):
            time.sleep(0.02)
    waited = datetime.fromisoformat(found[0]["created_on"]) - datetime.fromisoformat(last["created_on"])
    print(
        f"{size_kb:.0f} KB of {'safetensors' if binary else 'JSON'}: {updates / seconds:.1f} updates/s;"
        f" last update to aggregate of {updates}: {waited.total_seconds():.3f} s",
        flush=True,
    )


def many(calls: httpx.Client, process: subprocess.Popen[str], updates: int, n_numbers: int = 3_125_000) -> None:
    """Average so many updates of 25 MB."""
    model, client = opened(calls, updates)
    layer = np.random.default_rng(0).normal(size=n_numbers)
    with httpx.Client(timeout=600) as plain, Memory(process.pid) as memory:
        for i in range(updates):
            plain.send(sent(calls, model, client, layer + i, binary=True)).raise_for_status()
        began = time.monotonic()
        while not calls.get(f"/api/v1/model_aggregates/?federated_model={model}").json():
            time.sleep(0.05)
    print(
        f"{updates} updates of {n_numbers * 8 / 1e6:.0f} MB: averaged in {time.monotonic() - began:.1f} s,"
        f" at most +{memory.added_mb:.0f} MB in all processes",
        flush=True,
    )


def original(millions: float, updates: int) -> None:
    """The method of the original: every update becomes lists of Python's numbers, and all are averaged at once."""
    text, _ = body(1, millions, np.random.default_rng(0))
    process, before = psutil.Process(), psutil.Process().memory_full_info().uss
    began = time.monotonic()
    lists = [json.loads(text)["data"] for _ in range(updates)]
    layers = [np.mean([np.array(update[i]) for update in lists], axis=0).tolist() for i in range(2)]
    json.dumps(layers)
    added = (process.memory_full_info().uss - before) / 1e6
    seconds = time.monotonic() - began
    print(f"original's method, {updates} updates of {millions:g} M numbers: {seconds:.2f} s, +{added:.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--millions", type=float, nargs="+", default=[1.0, 8.0])
    parser.add_argument("--updates", type=int, default=5)
    parser.add_argument("--small", type=int, default=100)
    parser.add_argument("--many", type=int, default=100)
    parser.add_argument("--original", action="store_true")
    options = parser.parse_args()
    if options.original:
        for millions in options.millions:
            original(millions, options.updates)
        return
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        process, url = service(data)
        try:
            calls = developer(data, url)
            for n_numbers in (500, 50_000) if options.small else ():
                for binary in (False, True):
                    rate(calls, n_numbers, options.small, binary=binary)
            if options.many:
                many(calls, process, options.many)
            for millions in options.millions:
                measure(calls, process, millions, options.updates)
            calls.close()
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main()
