"""Exchanges of the native API, played back word for word: no server, no rules, only what the contract page shows."""

import base64
import hashlib
import random
from collections import defaultdict

import httpx
import numpy as np

from foedus.core.arrays import Arrays
from foedus.core.codecs import safetensors
from foedus.sdk import run_participant

URL = "https://foedus.example"
PREFIX = "/foedus/v1"
MODEL = Arrays({"weights": np.arange(6, dtype=np.float32).reshape(2, 3), "bias": np.zeros(3, np.float32)})
MODEL_BYTES = safetensors.encode(MODEL)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Wire:
    """Answers each call with what was given ``on`` it, in turn; the last answer goes on for ever."""

    def __init__(self):
        self.requests = []
        self._answers = defaultdict(list)
        self.transport = httpx.MockTransport(self._answer)

    def on(self, method, path, *answers):
        self._answers[method, PREFIX + path].extend(answers)
        return self

    def calls(self, method, path):
        return [r for r in self.requests if (r.method, r.url.path) == (method, PREFIX + path)]

    def _answer(self, request):
        self.requests.append(request)
        waiting = self._answers.get((request.method, request.url.path))
        assert waiting, f"nobody expected {request.method} {request.url.path}"
        answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer(request)


def reply(status=200, json=None, content=None, headers=None):
    return lambda _request: httpx.Response(status, json=json, content=content, headers=headers)


def problem(status, code, detail="It is so.", headers=None, **context):
    body = {"type": f"urn:foedus:error:{code}", "title": code, "status": status, "detail": detail, "code": code}
    headers = {"content-type": "application/problem+json"} | (headers or {})
    return reply(status, json=body | {"context": context}, headers=headers)


class Cut(httpx.SyncByteStream):
    """A body that breaks off."""

    def __init__(self, data):
        self._data = data

    def __iter__(self):
        yield self._data
        raise httpx.ReadError("cut")


def cut(data, size_bytes, status=200, headers=None):
    headers = {"content-length": str(size_bytes)} | (headers or {})
    return lambda _request: httpx.Response(status, stream=Cut(data), headers=headers)


def checkpoint(number=2, data=MODEL_BYTES):
    href = f"{PREFIX}/projects/digits/checkpoints/{number}/model"
    return {"number": number, "digest": sha256(data), "size_bytes": len(data), "href": href}


def train_task(round_number=3, data=MODEL_BYTES, **fields):
    return {
        "task": "train",
        "round": round_number,
        "checkpoint": checkpoint(round_number - 1, data),
        "settings": {"epochs": 1},
        "update_kind": "weights",
        "deadline_at": "2026-01-01T12:00:00Z",
        "heartbeat_s": 5.0,
        "evaluate": False,
    } | fields


def wait_task(text="1 of 3 participants are connected."):
    reason = {"code": "too_few_participants", "text": text, "facts": {"connected": 1, "needed": 3}}
    return {"task": "wait", "reasons": [reason], "heartbeat_s": 5.0}


FINISHED = {"task": "finished", "checkpoint": checkpoint(3), "reasons": []}


def receipt(request, round_number=3):
    digest = request.headers.get("content-digest", "")
    return {
        "id": 7,
        "round": round_number,
        "participant": "site-1",
        "digest": base64.b64decode(digest.removeprefix("sha-256=:").removesuffix(":")).hex(),
        "size_bytes": len(request.content),
        "examples": 120.0,
        "staleness": 0,
        "accepted_at": "2026-01-01T11:59:00Z",
    }


def accept(request):
    return httpx.Response(201, json=receipt(request))


class NoJitter(random.Random):
    """Back-off without waiting."""

    def uniform(self, a, b):
        return 0.0


def take_part(wire, train, **options):
    options = {"token": "fpa_1", "project": "digits"} | options
    return run_participant(train, url=URL, transport=wire.transport, rng=NoJitter(), **options)
