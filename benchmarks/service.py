"""A real server as it is delivered (durable writes, tokens), and participants that cost next to nothing themselves."""

import base64
import contextlib
import hashlib
import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from foedus.core.arrays import Arrays
from foedus.core.codecs import safetensors
from foedus.simulation.demo.processes import Processes

SAFETENSORS = "application/vnd.safetensors"
# What a thousand calls to enrol would do, in one transaction: who measures rounds need not wait for them.
ENROL = """
import json, sys, django
django.setup()
from datetime import UTC, datetime
from django.db import transaction
from foedus import bootstrap
from foedus.services.learning.enrolment import Enrol, enrol
ports, now = bootstrap.ports(), datetime.now(UTC)
with transaction.atomic():
    tokens = [enrol(ports, None, Enrol(key=key), now=now).token for key in json.load(sys.stdin)]
json.dump(tokens, sys.stdout)
"""


class Caller:
    """One kept connection, asking with one token. The standard library's client, because it takes the least time."""

    def __init__(self, url, token=None):
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=120)
        self._token = token

    def call(self, method, path, body=None, **headers):
        """The body of the answer; anything but success is an error."""
        if body is not None and not isinstance(body, bytes):
            body, headers = json.dumps(body).encode(), {"Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        self._connection.request(method, f"/foedus/v1{path}", body, headers)
        answer = self._connection.getresponse()
        data = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {data[:300]!r}")
        return data

    def json(self, method, path, body=None):
        return json.loads(self.call(method, path, body) or "null")

    def download(self, path):
        """Read an answer to its end and forget it piece by piece: many do so at once, and memory is short."""
        with self.stream(path) as answer:
            if answer.status != 200:
                raise RuntimeError(f"GET {path}: {answer.status}")
            while answer.read(1 << 20):
                pass

    @contextlib.contextmanager
    def stream(self, path):
        """The answer as it comes, line by line."""
        self._connection.request("GET", f"/foedus/v1{path}", headers={"Authorization": f"Bearer {self._token}"})
        with self._connection.getresponse() as answer:
            yield answer


class Server:
    """``foedus serve`` in a folder that is gone at the end."""

    def __init__(self, url, token, pid, data):
        self.url, self.token, self.pid, self._data = url, token, pid, data

    def project(self, key, body, participants, rounds, policy=None, *, at_once=False):
        """A project with its first model, and the tokens of its participants, enrolled ``at_once`` or one by one."""
        policy = policy or {"name": "quorum", "options": {"minimum": participants, "rounds": rounds}}
        operator = Caller(self.url, self.token)
        operator.call("POST", "/projects", {"key": key, "policy": policy})
        operator.call("PUT", f"/projects/{key}/model", body, **headers_of(body))
        keys = operator.json("POST", f"/projects/{key}/enrolment-keys", {"count": participants})["items"]
        if at_once:
            return self._enrolled([item["key"] for item in keys])
        return [json.loads(Caller(self.url).call("POST", "/enrol", {"key": item["key"]}))["token"] for item in keys]

    def _enrolled(self, keys):
        environment = {
            **os.environ,
            "FOEDUS_DATA": str(self._data),
            "DJANGO_SETTINGS_MODULE": "foedus.server.settings",
        }
        done = subprocess.run(
            [sys.executable, "-c", ENROL], input=json.dumps(keys), env=environment,
            check=True, text=True, stdout=subprocess.PIPE,
        )  # fmt: skip
        return json.loads(done.stdout.splitlines()[-1])


@contextlib.contextmanager
def serving():
    with tempfile.TemporaryDirectory(prefix="foedus-bench-") as folder, Processes(Path(folder)) as processes:
        data = Path(folder) / "data"
        os.environ["FOEDUS_REQUESTS_PER_SECOND"] = "0"
        os.environ["FOEDUS_LOG_LEVEL"] = "warning"
        server = processes.start(
            "server", ["-m", "foedus", "serve", "--port", "0", "--data", str(data), "--until-eof"],
            output=subprocess.PIPE,
        )  # fmt: skip
        url = processes.ready_url(server, 60)
        yield Server(url, (data / "operator-token").read_text().strip(), server.pid, data)


class Participant(threading.Thread):
    """Asks, downloads, hands in the same update in every round; ``on_task`` is told when a round's task came."""

    def __init__(self, server, key, token, body, on_task=lambda: None):
        super().__init__()
        self._caller = Caller(server.url, token)
        self._path, self._body, self._headers = f"/projects/{key}", body, headers_of(body)
        self._on_task = on_task

    def run(self):
        while (task := self._caller.json("GET", f"{self._path}/next?wait=30"))["task"] != "finished":
            if task["task"] == "train":
                self._on_task()
                self._caller.download(task["checkpoint"]["href"].removeprefix("/foedus/v1"))
                where = f"{self._path}/rounds/{task['round']}/update?examples=1"
                self._caller.call("PUT", where, self._body, **self._headers)


def model(size_bytes, seed=0):
    """A model of about that size, in ten tensors of float32."""
    rng = np.random.default_rng(seed)
    elements = size_bytes // 40
    return safetensors.encode(Arrays({f"layer{i}": rng.standard_normal(elements, np.float32) for i in range(10)}))


def headers_of(body):
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    return {"Content-Type": SAFETENSORS, "Content-Digest": f"sha-256=:{digest}:"}
