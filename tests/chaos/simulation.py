"""A project's whole life under a drawn plan, in virtual time: the same seed makes the same things happen.

Participants ask, train and hand in; calls and answers are lost, doubled and reordered; workers die between the steps of
a job; the server's clock jumps. When the storm is over everybody is well, and the project must end soon.
"""

import hashlib
import heapq
import random
from datetime import UTC, datetime, timedelta

from tests.chaos.operating import Operator
from tests.chaos.plan import CALM_S, Plan, drawn

from foedus.core.errors import Conflict, Invalid, NotFound, PlatformError, Unavailable

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
WAIT_S, IDLE_S, TICK_S, RENEW_S = 25.0, 5.0, 1.0, 2.0
MAX_EVENTS = 20_000
WORK = ("claim", "renew", "postpone", "switch")


class Stuck(AssertionError):
    """The faults have stopped, and the project does not come to its end."""


class Simulation:
    """``make`` gives the service for a policy and the present moment."""

    def __init__(self, seed: int, make) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.plan: Plan = drawn(self.rng)
        self.time, self.skew_s = 0.0, 0.0
        self.service = make(self.plan.policy, self.now)
        self.ledger: list[tuple[str, int, str]] = []  # what was acknowledged, each receipt once
        self.sent: set[tuple[str, int, str]] = set()
        self.trace: list[tuple] = []
        self._queue: list = []
        self._count = 0
        self._listeners: list = []
        self._seen_events = 0
        self.finished = False
        self.participants = [Participant(self, f"p{n}") for n in range(self.plan.participants)]
        self.workers = [Worker(self), Worker(self)]
        self.operator = Operator(self)

    @property
    def now(self) -> datetime:
        """What the server's clock shows."""
        return START + timedelta(seconds=self.time + self.skew_s)

    @property
    def stormy(self) -> bool:
        return self.time < self.plan.storm_s

    def run(self) -> "Simulation":
        for actor in (*self.participants, *self.workers):
            self.after(self.rng.uniform(0, 2), actor.start)
        self.operator.start()
        self.after(TICK_S, self._tick)
        if self.plan.gone_at is not None:
            self.after(self.plan.gone_at, self.participants[-1].vanish)
        for _ in range(MAX_EVENTS):
            if self.finished:
                return self
            if not self._queue or self.time > self.plan.storm_s + CALM_S:
                break
            self.time, _, action = heapq.heappop(self._queue)
            action()
        raise Stuck(f"after {self.time:.0f} s: {self.service.state}, {self.service.history()[-1]}")

    def after(self, seconds: float, action) -> None:
        self._count += 1
        heapq.heappush(self._queue, (self.time + seconds, self._count, action))

    def hits(self, probability: float) -> bool:
        """Whether it happens now; nothing does once the storm is over."""
        return self.stormy and probability > 0 and self.rng.random() < probability

    def listen(self, action, seconds: float) -> None:
        """Call ``action`` once something has happened to the project or so many seconds have passed."""
        entry = [action]

        def fire() -> None:
            if entry:
                entry.pop()()

        self._listeners.append(fire)
        self.after(seconds, fire)

    def ask(self, name: str, *arguments):
        """One call that reaches the service: (answer, None) or (None, error)."""
        try:
            answer, error = getattr(self.service, name)(*arguments, self.now), None
        except PlatformError as exc:
            answer, error = None, exc
        said = type(error).__name__ if error else answer
        if name in WORK:  # leases are each service's own
            arguments, said = (), bool(said)
        self.trace.append((self.time, name, arguments, said))
        self._look()
        return answer, error

    def call(self, name: str, *arguments, then, otherwise=None) -> None:
        """A call over the network. ``then(answer, error)`` hears of it, or ``otherwise()`` that nothing came back."""
        otherwise = otherwise or (lambda: then(None, Unavailable()))
        if self.hits(self.plan.doubled):
            self.after(self.rng.choice((0.1, 5.0, 40.0)), lambda: self.ask(name, *arguments))
        if self.hits(self.plan.lost):
            self.service.crash(name, arguments, self.now)
            self.after(1.0, otherwise)
            return

        def arrive() -> None:
            answer, error = self.ask(name, *arguments)
            if self.hits(self.plan.answer_lost):
                self.after(1.0, otherwise)
            else:
                self.after(self.rng.uniform(0.01, 0.2), lambda: then(answer, error))

        self.after(self.rng.uniform(0.01, 0.2), arrive)

    def _tick(self) -> None:
        if self.hits(self.plan.clock_jumps):
            self.skew_s += self.rng.choice((-3600.0, -30.0, -5.0, 5.0, 30.0, 3600.0))
        if not self.hits(self.plan.killed):  # a tick that is missed is made up for by the next one
            self.ask("tick")
        self.after(TICK_S, self._tick)

    def _look(self) -> None:
        """After each call: whoever waits is woken if something has happened."""
        happened = self.service.happened()
        if happened == self._seen_events:
            return
        self._seen_events = happened
        self.finished = self.service.state == "finished"
        waiting, self._listeners = self._listeners, []
        for fire in waiting:
            if self.hits(self.plan.deaf):
                continue  # the wake-up is lost; the time-out is not
            self.after(0.001, fire)


class Participant:
    """``life`` counts its lives: what an earlier one has begun is none of a later one's business."""

    def __init__(self, world: Simulation, name: str) -> None:
        self.world, self.name = world, name
        self.life = 0
        self.joined = self.gone = False
        self.patience_s = 1.0
        self.pending: tuple[int, str] | None = None  # kept on its disk

    def vanish(self) -> None:
        self.gone = True
        self.life += 1

    def start(self) -> None:
        if self.gone:
            return
        if not self.joined:
            self._call("join", then=lambda _, error: self._joined(error))
        else:
            self._next(anew=True)

    def _joined(self, error) -> None:
        self.joined = error is None
        self._later(0.0 if self.joined else 1.0, self.start)

    def _next(self, *, anew: bool = False) -> None:
        self._call("next", anew, then=self._answered)

    def _answered(self, answer, error) -> None:
        plan, world = self.world.plan, self.world
        if isinstance(error, NotFound):
            self.joined = False
            self._later(0.5, self.start)
            return
        if error is not None:
            self._later(0.5, self._next)
            return
        self.patience_s = answer[2]
        if answer[0] == "train":
            self._train(answer[1])
        elif answer[0] == "wait":
            assert answer[1], "a wait without a reason"
            if world.hits(plan.leaves):
                self._call("leave", then=lambda *_: self._next())
            else:
                life = self.life
                world.listen(lambda: self._next() if life == self.life else None, min(WAIT_S, self.patience_s))

    def _train(self, number: int) -> None:
        world = self.world
        if world.hits(world.plan.declines):
            self._call("decline", number, then=lambda *_: self._next())
            return
        if world.hits(world.plan.killed):
            self._die()
            return
        if self.pending is None or self.pending[0] != number:
            fresh = str(world.rng.random()) if world.rng.random() < world.plan.forgetful else ""
            digest = hashlib.sha256(f"{self.name} {number} {fresh}".encode()).hexdigest()
            self.pending = number, digest
        seconds = world.rng.choice((0.2, 2.0, 6.0))
        self._beat(number)
        self._later(seconds, self._hand_in)

    def _beat(self, number: int) -> None:
        if self.pending is not None and self.pending[0] == number:
            self._call("heartbeat", number, then=lambda counts, _: self._beaten(number, counts))
            self._later(self.patience_s, lambda: self._beat(number))

    def _beaten(self, number: int, counts) -> None:
        """Work that nobody counts any more is left; not every client does."""
        if counts is False and self.pending is not None and self.pending[0] == number and self.life % 2:
            self.pending = None
            self._next()

    def _hand_in(self) -> None:
        if self.pending is None:
            return
        world, (number, digest) = self.world, self.pending
        world.sent.add((self.name, number, digest))
        if world.hits(world.plan.killed):
            world.after(0.05, lambda: world.ask("hand_in", self.name, number, digest))  # sent with its last breath
            self._die()
            return
        self._call("hand_in", number, digest, then=self._handed_in)

    def _handed_in(self, receipt, error) -> None:
        if self.pending is None:
            return
        if error is None:
            assert receipt == (self.name, *self.pending), "a receipt for something else"
            if receipt not in self.world.ledger:
                self.world.ledger.append(receipt)
        if error is None or isinstance(error, Conflict | NotFound | Invalid) or type(error).__name__ == "Forbidden":
            self.pending = None
            self._next()
        else:
            self._later(0.5, self._hand_in)

    def _die(self) -> None:
        self.life += 1
        if self.world.rng.random() < self.world.plan.forgetful:
            self.pending = None  # its disk died, too
        self.world.after(self.world.rng.choice((0.5, 5.0, 30.0)), self.start)

    def _call(self, name: str, *arguments, then) -> None:
        life = self.life
        self.world.call(name, self.name, *arguments, then=lambda *a: then(*a) if life == self.life else None)

    def _later(self, seconds: float, action) -> None:
        life = self.life
        self.world.after(seconds, lambda: action() if life == self.life else None)


class Worker:
    """Claims a job, computes, and switches; it may die or stand still before and after each step."""

    def __init__(self, world: Simulation) -> None:
        self.world = world

    def start(self) -> None:
        lease, _ = self.world.ask("claim")
        if lease is None:
            self.world.listen(self.start, IDLE_S)
        else:
            self._step(lambda: self._compute(lease), lease)

    def _compute(self, lease) -> None:
        if self.world.hits(self.world.plan.storage_fails):
            self.world.ask("postpone", lease)
            self.world.after(0.0, self.start)
            return
        model = self.world.service.compute(lease)
        self._step(lambda: self._switch(lease, model), lease)

    def _switch(self, lease, model) -> None:
        self.world.ask("switch", lease, model)
        self._step(self.start)

    def _step(self, then, lease=None) -> None:
        world = self.world
        if world.hits(world.plan.worker_dies):
            world.after(world.rng.choice((0.5, 10.0)), self.start)
        elif world.hits(world.plan.worker_stalls):
            world.after(20.0, then)  # stopped, and so is its renewing: the lease lapses meanwhile
        else:
            if lease is not None and world.rng.random() < 0.5:
                world.ask("renew", lease)
            world.after(world.rng.uniform(0.01, 1.0), then)
