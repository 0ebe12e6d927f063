"""Participants of a run over real processes: they insist, as good clients do, and note what they are told."""

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

from tests.e2e.driver import PREFIX, Party, Study, headers_of, model
from tests.e2e.service import GUARD

PATIENCE_S = 90.0  # of a call, with all its repetitions: more than any recovery takes
BODY = model(500)
NAMES = ("ada", "bea", "cyd")


class Ledger:
    """What was acknowledged, and when; wakes who waits for a round to come."""

    def __init__(self):
        self.receipts = {}  # (round, name): (id, digest) of the receipt
        self.refusals = Counter()
        self.slowest_s = 0.0
        self.latest = 0
        self.broken = []
        self._news = threading.Condition()

    def note(self, number, name, receipt):
        with self._news:
            key, told = (number, name), (receipt["id"], receipt["digest"])
            if self.receipts.setdefault(key, told) != told:
                self.broken.append(f"{name} has two receipts for round {number}: {self.receipts[key]} and {told}")
            self.latest = max(self.latest, number)
            self._news.notify_all()

    def fail(self, what):
        with self._news:
            self.broken.append(what)
            self._news.notify_all()

    def wait_for(self, number, within_s):
        """Whether a receipt for this round, or a later one, came in time."""
        with self._news:
            self._news.wait_for(lambda: self.latest >= number or self.broken, within_s)
            return self.latest >= number and not self.broken


class Player(threading.Thread):
    """One participant. ``restarts`` makes it forget, now and then, everything but its token."""

    def __init__(self, party: Party, ledger: Ledger):
        super().__init__(name=party.name, daemon=True)
        self._party, self._ledger = party, ledger
        self._over = threading.Event()
        self._restart = threading.Event()

    def restart(self):
        self._restart.set()

    def end(self):
        self._over.set()

    def run(self):
        try:
            while not self._over.is_set():
                self._turn()
        except Exception as exc:  # noqa: BLE001 - whatever it is, it ends the run and is told there
            self._ledger.fail(f"{self._party.name}: {type(exc).__name__} {exc}")

    def _turn(self):
        task = self._ask("GET", f"{self._party.study.path}/next", params={"wait": 5})
        if task.status_code != 200:
            raise AssertionError(f"next: {task.status_code} {task.text[:300]}")
        task = task.json()
        if task["task"] != "train":
            return
        answer = self._ask("GET", task["checkpoint"]["href"].removeprefix(PREFIX))
        if answer.status_code != 200:
            raise AssertionError(f"model: {answer.status_code} {answer.text[:300]}")
        self._party.base = answer.content
        body = self._party.trained(task)
        if self._restart.is_set():
            self._restart.clear()
            return
        self._hand_in(task["round"], body)

    def _hand_in(self, number, body):
        began = time.monotonic()
        answer = self._party.insist(
            "PUT", self._party.update_path(number), within_s=PATIENCE_S,
            params={"examples": 1.0}, content=body, headers=headers_of(body),
        )  # fmt: skip
        self._ledger.slowest_s = max(self._ledger.slowest_s, time.monotonic() - began)
        if answer.status_code in (200, 201):
            self._ledger.note(number, self._party.name, answer.json())
        else:
            raise AssertionError(f"update of round {number}: {answer.status_code} {answer.text[:300]}")

    def _ask(self, method, path, **more):
        began = time.monotonic()
        answer = self._party.insist(method, path, within_s=PATIENCE_S, **more)
        waited = more.get("params", {}).get("wait", 0)
        self._ledger.slowest_s = max(self._ledger.slowest_s, time.monotonic() - began - waited)
        return answer


def endless(service, key, urls, rounds=None):
    """A study in which each round needs everybody, however long that takes, so that its models are known before."""
    return Study(
        service, key, body=BODY, urls=urls, minimum=len(NAMES), rounds=rounds,
        heartbeat_timeout_s=1e6, deadline_s=1e6,
    )  # fmt: skip


class Trainee:
    """A participant of the client library, as a process that is killed; started again it comes back as who it was."""

    def __init__(self, study, folder, seed, *, environment=None):
        self._environment = {**os.environ, **(environment or {})}
        script = Path(sys.modules["tests.e2e.driver"].__file__).parent / "trainee.py"
        self._command = [*GUARD, sys.executable, str(script), study.urls[0], study.keys()[0], str(folder / seed), seed]
        self.start()

    def start(self):
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=self._environment,
        )

    @property
    def has_ended(self):
        return self._process.poll() is not None

    def restart(self):
        self.end()
        self.start()

    def end(self):
        self._process.kill()
        self._process.wait()


def everything(study, path):
    """All items of a list, page after page."""
    found, params = [], {"limit": 100}
    while True:
        page = study.operator.get(path, **params)
        found += page["items"]
        if page["next"] is None:
            return found
        params["after"] = page["next"]


def digests_of(study):
    """The digests of all models, the first one first."""
    found = everything(study, f"{study.path}/checkpoints")
    return [checkpoint["digest"] for checkpoint in sorted(found, key=lambda checkpoint: checkpoint["number"])]
