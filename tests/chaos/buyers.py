"""Parties of a market who buy, run and take part without end, whatever happens to the node, and remember what they did.

They ask again until they are answered, with the same seed for the same order, as careful clients do.
"""

import io
import os
import random
import struct
import threading
import time
from contextlib import suppress
from dataclasses import dataclass

import httpx
import numpy as np

from foedus.core.errors import Conflict, NotFound, PlatformError, Unavailable
from foedus.sdk.market import Key, Market, NewOffer, program, session, workflow
from foedus.sdk.market.answers import Run

GIFT, ROWS, PLACE = 100_000, (7, 2), (5,)
PATIENCE_S = 240.0
WINDOW_S = 6  # in which what is never run is still paid for
KINDS = ("run", "run", "fail", "session", "never", "accept")
_DONE = 'sleep 0.2; echo "$NEVERMINED_INPUTS_PATH" > "$NEVERMINED_OUTPUTS_PATH/found.txt"'
_FAILS = "sleep 0.1; exit 3"


class StuckError(AssertionError):
    """Something did not come about within a patience that no fault here explains."""


def insist(call, *, also=()):
    """What ``call`` gives, asked again for as long as the node does not answer."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            return call()
        except (Unavailable, httpx.HTTPError, *also) as exc:
            if time.monotonic() > until:
                raise StuckError(f"{call} found no answer: {exc!r}") from exc
            time.sleep(0.1)


@dataclass(frozen=True)
class Stall:
    """What is on sale at a node, by DID, and the programs that buyers bring."""

    rows: str
    brief: str
    place: str
    done: str
    fails: str
    receivers: dict[str, int]


def stall(url):
    """Two sellers' offers, of which one grants a computation for a few seconds only."""
    hospital, friend, leader = (Key(os.urandom(32)) for _ in range(3))
    shares = list(zip((hospital.address, friend.address), ROWS, strict=True))
    with Market(url, hospital) as seller, Market(url, leader) as place:
        return Stall(
            rows=seller.offer(NewOffer(name="Rows", shares=shares)),
            brief=seller.offer(NewOffer(name="Brief", shares=shares, timeout_s=WINDOW_S)),
            place=place.offer(NewOffer(name="Sessions", kind="fl-coordinator", shares=[(leader.address, *PLACE)])),
            done=seller.publish_asset(program("Done", _DONE)),
            fails=seller.publish_asset(program("Fails", _FAILS)),
            receivers={hospital.address: 0, friend.address: 1, leader.address: 2},
        )


class Buyer(threading.Thread):
    """``bought``: what became of each agreement as the buyer knows it: its kind, and whether its run succeeded."""

    def __init__(self, url, key, there, seed):
        super().__init__(daemon=True)
        self.market, self.there, self.rng = Market(url, key), there, random.Random(seed)
        self.bought, self.errors, self.ending = {}, [], threading.Event()

    def run(self):
        try:
            while not self.ending.is_set():
                kind = self.rng.choice(KINDS)
                agreement, status = getattr(self, f"_{kind}")()
                self.bought[agreement] = kind, status
        except Exception as exc:  # noqa: BLE001 - it is a finding
            self.errors.append(repr(exc))

    def end(self):
        self.ending.set()
        self.join(2 * PATIENCE_S)
        if self.is_alive():
            self.errors.append("a buyer never came to an end")

    def outcomes(self):
        """What became of the money of each agreement, once it is nobody's to decide any more."""
        return {
            agreement: insist(lambda agreement=agreement: self.market.settled(agreement, timeout_s=PATIENCE_S)).outcome
            for agreement in self.bought
        }

    def _run(self):
        return self._ran(self.there.done)

    def _fail(self):
        return self._ran(self.there.fails)

    def _never(self):
        return self._order(self.there.brief), "never"

    def _accept(self):
        agreement = self._order(self.there.rows)
        insist(lambda: self.market.accept(agreement))
        with suppress(Conflict):  # which is what it should be, rather than a run of what was had
            plan = self._plan(self.there.done)
            insist(lambda: self.market.run(agreement, plan))
            self.errors.append(f"{agreement} was accepted, and could be run")
        return agreement, "accepted"

    def _session(self):
        agreement = self._order(self.there.place)
        seats = [os.urandom(32).hex() for _ in range(2)]
        plan = session(f"s{self.rng.random()}", rounds=3, min_participants=2, sessionTimeout=60, heartbeatTimeout=20)
        led = self._start(agreement, self._publish(plan))
        taken = []
        with suppress(Conflict):  # it has failed before it could be reached
            for seat in insist(lambda: self.market.seats(led, seats, timeout_s=30)):
                taken.append(threading.Thread(target=take_part, args=(seat.url, seat.token), daemon=True))
                taken[-1].start()
        return agreement, insist(lambda: self.market.wait(led, timeout_s=PATIENCE_S)).status

    def _ran(self, what):
        agreement = self._order(self.there.rows)
        run = self._start(agreement, self._plan(what))
        return agreement, insist(lambda: self.market.wait(run, timeout_s=PATIENCE_S)).status

    def _order(self, did):
        seed = self.rng.randbytes(32).hex()
        return insist(lambda: self.market.order(did, seed=seed)).id

    def _plan(self, what):
        return self._publish(workflow(f"w{self.rng.random()}", what, data=[self.there.rows]))

    def _publish(self, main):
        """A document each time: what was published without an answer lies there, and hurts nobody."""
        return insist(lambda: self.market.publish_asset(main), also=(Conflict,))

    def _start(self, agreement, plan):
        """The one run of the agreement, whether or not its start was answered."""

        def start():
            try:
                return self.market.run(agreement, plan)
            except Conflict:
                return self._begun(agreement)

        return insist(start)

    def _begun(self, agreement):
        said = self.market._at(agreement, "GET", "/compute/list")
        for execution in said["workflows"]:
            with suppress(NotFound, PlatformError):
                return self.market.look(Run(agreement=agreement, id=execution))
        raise Unavailable("no run is listed")


def take_part(url, token):
    """Train in a session until it is over, joining it again where it does not know one any more."""
    until, name = time.monotonic() + PATIENCE_S, None
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=5) as http:
        while time.monotonic() < until:
            try:
                name = name or http.get("/rendez_vous").json()["id"]
                told = http.get(f"/heartbeat/{name}").json()["state"]
                if told == "finish":
                    return
                name = None if told == "reject" else name
                if told == "round":
                    _train(http, name)
            except (httpx.HTTPError, KeyError, ValueError):  # it is away, or comes back just now
                time.sleep(0.2)
            time.sleep(0.05)


def _train(http, name):
    begun = http.get(f"/start_training/{name}").json()
    path = f"/{name}/{begun['token']}"
    weights = http.get(path).content
    file = io.BytesIO()
    np.save(file, np.load(io.BytesIO(weights)) + 1 if weights else np.zeros(2), allow_pickle=False)
    http.post(path, content=struct.pack(">I", 1 if weights else 0) + file.getvalue())
