"""``python benchmarks/run.py learn_rest [-- --attributes 20 --seconds 5]``: learning over REST and WebSockets.

A real server with durable writes; every frame is signed, and acknowledged once it is in the database. Then, at 100 and
500 attributes, how long explorations and models take for a customer who asks over REST: signed, with a job where the
dialect has one, and with the answer. Goals: an exploration in 50 ms at 100 attributes, any model in 1 s at 500.
"""

import argparse
import base64
import json
import socket
import struct
import threading
import time
from contextlib import closing
from datetime import UTC, datetime
from http.client import HTTPConnection
from itertools import count
from urllib.parse import urlsplit

import numpy as np
from benchmarks.machine import described
from benchmarks.service import Caller, serving

from foedus.core.symetryml.dates import format_date
from foedus.core.symetryml.signing import Message, SocketMessage, content_md5, sign, sign_socket_message

CID = "bench"
EXPLORATIONS = {"uni": (1, 0), "bi": (2, 0), "anova": (20, 0), "vif": (50, 0), "correlation": (50, 0)}
MODELS = ("mlr", "ridge", "lasso", "elasticnet", "pcr", "plsq", "lda", "bayes", "lsvm", "lsvr", "covest", "oospca")
_dates = count()


class Customer:
    """Signs; one kept connection."""

    def __init__(self, url, secret):
        self.url, self.secret = url, secret
        self._connection = HTTPConnection(urlsplit(url).netloc, timeout=300)

    def call(self, method, path, body=b""):
        target = f"/symetry/rest/{CID}/{path}"
        resource, _, query = target.partition("?")
        date = a_date()
        message = Message(verb=method, date=date, customer=CID, path=resource.encode(), query=query.encode(), body=body)
        headers = {"Authorization": sign(message, self.secret), "sym-date": date}
        self._connection.request(method, target, body or None, headers)
        answer = self._connection.getresponse()
        said = json.loads(answer.read())
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {said['statusString']}")
        return said["values"]

    def job(self, path, body):
        """A job's values, asked for until they are there."""
        number = self.call("POST", path, body)["jobinfo"]["jobId"]
        while "jobinfo" in (values := self.call("GET", f"jobs/{number}")):
            time.sleep(0.002)
        return values


class Socket:
    """The little of a WebSocket (RFC 6455) that this takes: a text after the other, each in one frame."""

    def __init__(self, url, path):
        host = urlsplit(url).netloc
        self._socket = socket.create_connection(host.split(":"), timeout=300)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")
        upgrade = {"Host": host, "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
        upgrade["Sec-WebSocket-Key"] = base64.b64encode(bytes(16)).decode()
        lines = [f"GET {path} HTTP/1.1", *(f"{name}: {text}" for name, text in upgrade.items())]
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode())
        if b" 101 " not in self._file.readline():
            raise RuntimeError("the server does not speak WebSocket at this address")
        while self._file.readline().strip():
            pass

    def ask(self, text):
        # A client masks what it sends; a mask of zeros leaves it as it is.
        self._socket.sendall(struct.pack(">BBQ4x", 0x81, 0x80 | 127, len(text)) + text)
        _, size = self._file.read(2)
        if size > 125:
            size = int.from_bytes(self._file.read(2 if size == 126 else 8), "big")
        return json.loads(self._file.read(size))

    def close(self):
        self._socket.close()


def a_date():
    """Never the same twice, so that no request is a repetition."""
    return format_date(datetime.now(UTC).replace(microsecond=next(_dates) % 1_000_000))


def frame(rows, attributes, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, attributes)) + rng.normal(size=(rows, 1))
    x[:, -1] = x[:, 0] + x[:, 1] > 0
    names, letters = [f"a{k}" for k in range(attributes)], ["C"] * (attributes - 1) + ["B"]
    data = [[*row[:-1], int(row[-1])] for row in x.round(4).tolist()]
    return json.dumps({"attributeNames": names, "attributeTypes": letters, "data": data}).encode()


def over_rest(url, secret, project, body, times, ends):
    customer = Customer(url, secret)
    while (started := time.perf_counter()) < ends:
        customer.call("POST", f"projects/{project}/learn", body)
        times.append(time.perf_counter() - started)


def over_socket(url, secret, project, body, times, ends):
    address = f"{url.replace('http', 'ws', 1)}/symetry/ws/learn"
    with closing(Socket(url, "/symetry/ws/learn")) as channel:
        while (started := time.perf_counter()) < ends:
            date = a_date()
            message = SocketMessage(date=date, customer=CID, payload=body, urls=(address,), extra=(project,))
            headers = [date, content_md5(body), sign_socket_message(message, secret), CID]
            header = json.dumps({"headers": headers, "extraKeys": [project]})
            if channel.ask(f"{len(header)},{header}".encode() + body)["statusCode"] != "OK":
                raise RuntimeError("a frame was refused")
            times.append(time.perf_counter() - started)


def learning(server, secret, way, rows, attributes, clients, seconds):
    project = f"{way.__name__}-{rows}-{attributes}-{clients}"
    Customer(server.url, secret).call("POST", f"projects?pid={project}", b"{}")
    times, body = [], frame(rows, attributes)
    started = time.perf_counter()
    arguments = (server.url, secret, project, body, times, started + seconds)
    threads = [threading.Thread(target=way, args=arguments) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rate = rows * len(times) / (time.perf_counter() - started)
    middle, late = np.percentile(times, [50, 99]) * 1000
    label = f"{way.__name__}, {clients} at once, frames of {rows} x {attributes}"
    print(f"{label:48} {rate:10,.0f} rows/s   p50 {middle:7.1f} ms   p99 {late:7.1f} ms", flush=True)


def asking(server, secret, attributes):
    customer = Customer(server.url, secret)
    project = f"asked-{attributes}"
    customer.call("POST", f"projects?pid={project}", b"{}")
    for seed in range(2):
        customer.call("POST", f"projects/{project}/learn", frame(attributes, attributes, seed))
    for metric, (inputs, _) in EXPLORATIONS.items():
        body = context(range(inputs))
        path = f"projects/{project}/explore?metric={metric}&returnProjectInfo=false"
        told(
            f"explore {metric}, {attributes} attributes", lambda path=path, body=body: customer.call("POST", path, body)
        )
    told(
        f"pca, {attributes} attributes",
        lambda: customer.job(f"projects/{project}/explorepca", context(range(attributes))),
    )
    for algorithm in MODELS:
        classes = algorithm in ("lda", "bayes", "lsvm")
        target = [] if algorithm in ("covest", "oospca") else [attributes - 1 if classes else attributes - 2]
        body, path = context(range(attributes - 2), target), f"projects/{project}/build?modelid=m&algo={algorithm}"
        told(f"build {algorithm}, {attributes} attributes", lambda path=path, body=body: customer.job(path, body))


def context(inputs, targets=()):
    places = [[str(place) for place in places] for places in (inputs, targets)]
    return json.dumps({"inputAttributes": places[0], "targets": places[1], "extraParameters": {}}).encode()


def told(label, call):
    times = []
    while len(times) < 5 and sum(times) < 3:
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    print(f"{label:48} {1000 * np.median(times):8.1f} ms", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--attributes", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=5.0)
    asked = parser.parse_args()
    print(described())
    with serving() as server:
        secret = Caller(server.url, server.token).json("POST", "/customers", {"cid": CID})["secret_key"]
        for way in (over_rest, over_socket):
            for rows, clients in ((1, 4), (100, 4), (5000, 2)):
                learning(server, secret, way, rows, asked.attributes, clients, asked.seconds)
        for attributes in (100, 500):
            asking(server, secret, attributes)


if __name__ == "__main__":
    main()
