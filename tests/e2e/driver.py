"""Operators and participants as plain HTTP: every byte is the test's own, and so is every repetition."""

import base64
import hashlib
import json
import socket
import time
import zlib
from contextlib import contextmanager, suppress
from typing import ClassVar

import httpx
import numpy as np

from foedus.core.arrays import Arrays
from foedus.core.codecs import safetensors

PREFIX = "/foedus/v1"
SAFETENSORS = "application/vnd.safetensors"
OFFSET_STREAM = "application/offset+octet-stream"
LONGEST_PAUSE_S = 0.2  # of one who insists: who asks without end takes the processor from the service that is starting
RECOVERY_S = 10.0  # within which a service that was killed answers again


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def content_digest(data):
    return f"sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"


def model(elements=1000, value=0.0):
    return safetensors.encode(Arrays({"w": np.full(elements, value, np.float32), "b": np.zeros(3, np.float64)}))


def trained(base, seed, round_number):
    """What the participant ``seed`` makes of the model in round ``round_number``: always the same."""
    rng = np.random.default_rng([zlib.crc32(seed.encode()), round_number])
    arrays = safetensors.decode(base)
    return safetensors.encode(
        Arrays({t: (a + rng.standard_normal(a.shape)).astype(a.dtype) for t, a in arrays.items()})
    )


class Api:
    """Calls as one who holds ``token``, at any of ``urls``: who cannot be reached is left for the next one."""

    opened: ClassVar = []

    def __init__(self, *urls, token=None):
        Api.opened.append(self)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.token = token
        self._clients = [httpx.Client(base_url=url + PREFIX, headers=headers, timeout=70) for url in urls]

    def call(self, method, path, **more):
        return self._clients[0].request(method, path, **more)

    def insist(self, method, path, *, within_s=RECOVERY_S, **more):
        """Call until somebody answers; a service that was killed must do so within ``within_s`` of the first failure.

        ``content`` may be a function, which makes the body anew each time.
        """
        content = more.pop("content", None)
        ends_at, pause_s = None, 0.01
        while True:
            if content is not None:
                more["content"] = content() if callable(content) else content
            try:
                answer = self._clients[0].request(method, path, **more)
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.status_code != 503:
                return answer
            ends_at = ends_at or time.monotonic() + within_s
            assert time.monotonic() < ends_at, f"{method} {path}: no answer within {within_s:g} s"
            self._clients.append(self._clients.pop(0))
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def get(self, path, **params):
        answer = self.insist("GET", path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path, **fields):
        answer = self.insist("POST", path, json=fields)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    @classmethod
    def close_all(cls):
        while cls.opened:
            for client in cls.opened.pop()._clients:
                client.close()


class Study:
    """A project with its operator and the participants that joined it."""

    def __init__(self, service, key, *, body=None, strategy="fedavg", urls=None, settings=None, **options):
        self.urls = urls or [service.url]
        self.key = key
        self.path = f"/projects/{key}"
        self.operator = Api(*self.urls, token=service.token)
        policy = {"name": "quorum", "options": {"rounds": 3, "heartbeat_timeout_s": 60.0, **options}}
        self.operator.post("/projects", key=key, policy=policy, strategy={"name": strategy}, settings=settings or {})
        if body is not None:
            self.put_model(body)
        self.parties = []

    def put_model(self, body):
        answer = self.operator.insist("PUT", f"{self.path}/model", content=body, headers=headers_of(body))
        assert answer.status_code in (200, 201), answer.text
        return answer

    def keys(self, count=1, name="", **more):
        items = self.operator.post(f"{self.path}/enrolment-keys", name=name, count=count, **more)["items"]
        return [item["key"] for item in items]

    def join(self, name):
        """A new participant; the secret lets it ask again when the answer was lost."""
        answer = Api(*self.urls).post("/enrol", key=self.keys(name=name)[0], secret=sha256(name.encode()))
        party = Party(self, name, answer["participant"]["name"], answer["token"])
        self.parties.append(party)
        return party

    def project(self):
        return self.operator.get(self.path)

    def round(self, number):
        return self.operator.get(f"{self.path}/rounds/{number}")

    def updates(self, number):
        return self.operator.get(f"{self.path}/rounds/{number}/updates")["items"]

    def checkpoints(self):
        """Newest last."""
        return self.operator.get(f"{self.path}/checkpoints")["items"][::-1]

    def digests(self):
        return [checkpoint["digest"] for checkpoint in self.checkpoints()]


class Party(Api):
    """One participant of a study. ``seed`` is what its trainings are made of; its name may have got a number."""

    def __init__(self, study, seed, name, token):
        super().__init__(*study.urls, token=token)
        self.study, self.seed, self.name = study, seed, name
        self.base = b""

    def next(self, wait=0.0):
        return self.get(f"{self.study.path}/next", wait=wait)

    def task(self, *, within_s=RECOVERY_S):
        """The task to train, when there is one, which must be soon."""
        ends_at = time.monotonic() + within_s
        while (task := self.next(wait=max(0.1, ends_at - time.monotonic())))["task"] != "train":
            assert time.monotonic() < ends_at, f"no task for {self.name} within {within_s:g} s: {task}"
        self.base = self.model(task["checkpoint"])
        return task

    def model(self, checkpoint):
        answer = self.insist("GET", checkpoint["href"].removeprefix(PREFIX))
        assert answer.status_code == 200, answer.text
        assert sha256(answer.content) == checkpoint["digest"]
        return answer.content

    def trained(self, task):
        return trained(self.base, self.seed, task["round"])

    def hand_in(self, number, body, *, examples=1.0, content=None, **more):
        """The answer to an update, however often it had to be sent."""
        return self.insist(
            "PUT", self.update_path(number), params={"examples": examples},
            content=content or body, headers=headers_of(body, **more),
        )  # fmt: skip

    def offer(self, number, body, *, examples=1.0, content=None, **more):
        """The answer to an update that is sent once."""
        return self.call(
            "PUT", self.update_path(number), params={"examples": examples},
            content=body if content is None else content, headers=headers_of(body, **more),
        )  # fmt: skip

    def update_path(self, number):
        return f"{self.study.path}/rounds/{number}/update"


@contextmanager
def followed(study, *, after=0, url=None):
    """The events of a study after the one with this id, as they come: id, kind and data."""
    client = httpx.Client(base_url=(url or study.urls[0]) + PREFIX, timeout=30)
    headers = {"Authorization": f"Bearer {study.operator.token}", "Last-Event-ID": str(after)}
    with client, client.stream("GET", f"{study.path}/events", headers=headers) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        yield _events(stream.iter_lines())


def _events(lines):
    fields = {}
    for line in lines:
        if not line and fields:
            yield int(fields["id"]), fields["event"], json.loads(fields["data"])
            fields = {}
        elif line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = value


def headers_of(body, **more):
    more = {name.replace("_", "-"): value for name, value in more.items()}
    return {"Content-Type": SAFETENSORS, "Content-Digest": content_digest(body), **more}


class Wire:
    """One connection on which a test sends what no well-behaved client would."""

    def __init__(self, url, *, timeout_s=10.0):
        address = httpx.URL(url)
        self._socket = socket.create_connection((address.host, address.port), timeout=timeout_s)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def head(self, method, path, token, **headers):
        lines = [f"{method} {PREFIX}{path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {token}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.send("\r\n".join([*lines, "", ""]).encode("latin-1"))

    def send(self, data):
        self._socket.sendall(data)

    def cut(self):
        """Vanish as after a power cut: no farewell, and nothing more is taken."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self._socket.close()

    def end(self):
        """Say that nothing more will be sent."""
        self._socket.shutdown(socket.SHUT_WR)

    def answer(self):
        """Status and body of the answer, read until the server closes or the body is whole."""
        response = b""
        with suppress(ConnectionResetError):
            while chunk := self._socket.recv(1 << 16):
                response += chunk
                head, gap, body = response.partition(b"\r\n\r\n")
                length = _length(head)
                if gap and length is not None and len(body) >= length:
                    break
        head, _, body = response.partition(b"\r\n\r\n")
        return int(head.split(b" ", 2)[1]) if head else 0, body

    def close(self):
        self._socket.close()


def _length(head):
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return None
