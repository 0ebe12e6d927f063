"""A FLaaS server by its specification, and everything that it was asked: for phones without a network."""

import json
import threading
from dataclasses import dataclass, field

import httpx
import numpy as np

from foedus.core.codecs import cifar
from foedus.core.codecs.cifar import Samples
from foedus.core.fleet.layouts import fleet_model

MODEL = fleet_model("CIFAR10_S")
ROUND = {
    "id": 7,
    "model": MODEL.name,
    "dataset": "CIFAR10",
    "dataset_type": "IID",
    "training_mode": "BASELINE",
    "number_of_apps": 3,
    "create_date": "2026-11-22T05:21:29.010836+01:00",
    "start_training_date": "2026-11-22T05:21:30Z",
    "stop_training_date": None,
    "status": 2,
    "number_of_samples": 20,
    "number_of_epochs": 2,
    "seed": 42524235,
    "project": 1,
    "round_number": 0,
}


def sample_file(seed, count=60):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)
    return cifar.encode(Samples(images, rng.integers(0, 10, count).astype(np.uint8)))


@dataclass
class Server:
    """``fails``: statuses to answer the next calls of a kind with, before going well again."""

    round: dict = field(default_factory=lambda: dict(ROUND))
    fails: dict = field(default_factory=dict)
    requests: list = field(default_factory=list)
    access: str = "access-1"
    tokens: int = 1
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def transport(self):
        return httpx.MockTransport(self.answer)

    def answer(self, request):
        with self.lock:
            self.requests.append(request)
            kind = self.kind(request)
            if self.fails.get(kind):
                return httpx.Response(self.fails[kind].pop(0))
            public = kind in ("token", "token/refresh")
            if not public and request.headers.get("Authorization") != f"Bearer {self.access}":
                return httpx.Response(401, json={"detail": "Given token not valid for any token type"})
            return getattr(self, kind.replace("-", "_").replace("/", "_"))(request)

    @staticmethod
    def kind(request):
        parts = request.url.path.strip("/").split("/")[1:]
        if parts[0] == "project":
            return parts[2] if len(parts) > 2 else "project"
        return "/".join(parts[:2]) if parts[0] == "token" else parts[0]

    def token(self, request):
        return httpx.Response(200, json={"refresh": f"refresh-{self.tokens}", "access": self.access})

    def token_refresh(self, request):
        if f"refresh-{self.tokens}".encode() not in request.content:
            return httpx.Response(400, json={"detail": "Token is invalid or expired"})
        self.expire()
        return self.token(request)

    def expire(self):
        """The present access token is refused from now on."""
        self.tokens += 1
        self.access = f"access-{self.tokens}"

    def get_samples(self, request):
        return httpx.Response(200, content=sample_file(int(request.url.path.strip("/").split("/")[-1])))

    def get_model(self, request):
        return httpx.Response(200, content=bytes(MODEL.layout.nbytes))

    def join_round(self, request):
        return httpx.Response(200, json=self.round)

    def report_availability(self, request):
        return httpx.Response(201)

    submit_model = submit_results = report_availability

    def kinds(self):
        return [self.kind(request) for request in self.requests]

    def sent(self, kind):
        return [request for request in self.requests if self.kind(request) == kind]

    def reports(self):
        return [json.loads(request.content) for request in self.sent("report-availability")]


class HandTimer:
    """Calls what is due when it is told how much time has passed, and nothing in between."""

    def __init__(self):
        self.now = 0.0
        self.due = []

    def after(self, seconds, call):
        entry = (self.now + seconds, len(self.due), call)
        self.due.append(entry)
        return lambda: self.due.remove(entry) if entry in self.due else None

    def passes(self, seconds=0.0):
        end = self.now + seconds
        while self.due and min(self.due)[0] <= end:
            entry = min(self.due)
            self.due.remove(entry)
            self.now = max(self.now, entry[0])
            entry[2]()
        self.now = end
