"""The services themselves under a schedule: the calls of ``Twin``, with a database and blobs behind them."""

import hashlib
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from itertools import count

import numpy as np
from django.db import transaction
from tests.chaos.rows import SEED
from tests.factories import Study, body, chunks

from foedus.core.arrays import Arrays
from foedus.core.codecs import safetensors
from foedus.core.errors import Conflict, PlatformError
from foedus.core.folding import Update as Contribution
from foedus.core.registry import build
from foedus.core.rounds import Phase
from foedus.core.strategies.strategy import State
from foedus.records.learning.models import Checkpoint, Project, Round, Update
from foedus.records.shell.models import Event
from foedus.server.work import HANDLERS, PAUSES_S, Clockwork
from foedus.services.accounts.credentials import authenticate
from foedus.services.learning import tasks
from foedus.services.learning.enrolment import Enrol, enrol
from foedus.services.learning.leaving import leave_project
from foedus.services.learning.projects import ChangeProject, Rule, change_project
from foedus.services.learning.submitting import expect_update, submit_update
from foedus.services.learning.updates import SubmitUpdate
from foedus.services.shell import jobs
from foedus.services.shell.staging import staged

_numbers = count(1)


class Died(BaseException):
    """The process is gone, and with it whatever it had not committed."""


class DyingBlobs:
    """A store whose user dies as soon as something is stored."""

    def __init__(self, blobs):
        self._blobs = blobs
        self.local, self.read = blobs.local, blobs.read

    def put_file(self, key, path):
        self._blobs.put_file(key, path)
        raise Died


class Real:
    """One running project; ``ports`` are memory twins."""

    def __init__(self, ports, policy, now):
        self._ports, self._now = ports, now
        self._study = Study.create(
            ports, lambda: self._now, f"study-{next(_numbers)}", start=False, seed=SEED,
            policy=_rule(policy),
        )  # fmt: skip
        self._study.put_model(_arrays("initial"))
        self._project = Project.objects.get(key=self._study.key)
        self._clockwork = Clockwork()
        self._actors = {}
        self._digests = {}

    # What participants call

    def join(self, name, now):
        self._now = now
        known = self._actors.get(name)
        enrolled = enrol(self._ports, known, Enrol(key=self._study.key_for(name)), now=now)
        self._actors[name] = known or authenticate(enrolled.token, now=now)

    def leave(self, name, now):
        leave_project(self._ports, self._actors[name], self._study.key, now=now)

    def next(self, name, anew, now):
        asking = tasks.Asking(self._actors[name], self._study.key, evaluates=False, anew=anew)
        (answer,) = tasks.next_tasks(self._ports, [asking], now=now)
        if isinstance(answer, Exception):
            raise answer
        match answer.task:
            case tasks.Train(round=task):
                said = "train", task.number
            case tasks.Idle(reasons=reasons):
                said = "wait", tuple(reason.code for reason in reasons)
            case tasks.Finished(reasons=reasons):
                said = "finished", tuple(reason.code for reason in reasons)
        return *said, answer.heartbeat_s

    def heartbeat(self, name, number, now):
        return tasks.heartbeat(self._ports, self._actors[name], self._study.key, number, now=now)

    def decline(self, name, number, now):
        tasks.decline(self._ports, self._actors[name], self._study.key, number, "no", now=now)

    def hand_in(self, name, number, digest, now):
        content = body(_arrays(digest))
        sha256 = _sha256(_arrays(digest))
        self._digests[sha256] = digest
        command = SubmitUpdate(project=self._study.key, round=number, examples=1.0)
        actor = self._actors[name]
        update = expect_update(self._ports, actor, command, sha256, now=now).receipt
        if update is None:
            with staged(self._ports.scratch, chunks(content), 1 << 20, sha256) as whole:
                update, _ = submit_update(self._ports, actor, command, whole, now=now)
        return name, update.task_round, self._digests[update.digest]

    def crash(self, call, arguments, now):
        """The call's process dies just before its transaction is committed."""
        actors = dict(self._actors)
        with suppress(PlatformError), rolled_back():
            getattr(self, call)(*arguments, now)
        self._actors = actors

    # What operators do

    def change(self, policy, strategy, now):
        self._change(now, policy=_rule(policy), strategy=Rule(name=strategy))

    def pause(self, now):
        self._change(now, state="paused")

    def resume(self, now):
        self._change(now, state="running")

    def _change(self, now, **fields):
        change_project(self._ports, self._study.operator, self._study.key, ChangeProject(**fields), now=now)

    # What workers and the clock do

    def tick(self, now):
        self._clockwork.tick(self._ports, now=now)

    def claim(self, now):
        return jobs.claim(now, kind="combine")

    def renew(self, lease, now):
        jobs.renew(lease, now)

    def postpone(self, lease, now):
        jobs.postpone(lease, "no storage", now, most_s=PAUSES_S[lease.kind])

    def compute(self, lease):
        """Do the job up to the moment at which the model is stored, and die there (or lose it to another worker)."""
        with suppress(Conflict), rolled_back():
            HANDLERS[lease.kind](replace(self._ports, blobs=DyingBlobs(self._ports.blobs)), lease, now=self._now)
        return "computed"

    def switch(self, lease, _model, now):
        HANDLERS[lease.kind](self._ports, lease, now=now)

    # What a test looks at

    @property
    def state(self):
        return self._project.state

    def happened(self):
        self._project.refresh_from_db()
        return self._project.event_seq

    @property
    def events(self):
        kept = Event.objects.filter(stream=self._project.stream).order_by("seq").values_list("kind", "data")
        return [(kind, data.get("round", 0)) for kind, data in kept]

    def history(self):
        return [
            (
                r.number, Phase(r.phase), r.strategy["name"], r.base.number,
                [self._said(u) for u in Update.objects.filter(round=r).select_related("membership__participant")],
                r.checkpoint.digest if r.checkpoint else "",
            )
            for r in Round.objects.filter(project=self._project).select_related("base", "checkpoint").order_by("number")
        ]  # fmt: skip

    def digest_of(self, checkpoint):
        return Checkpoint.objects.get(project=self._project, number=checkpoint).digest

    def expected(self, strategy, base, updates):
        """What the strategy makes of these updates, away from services, database and blobs."""
        kept = Checkpoint.objects.get(project=self._project, digest=base)
        weights = safetensors.decode(b"".join(self._ports.blobs.read(kept.blob)))
        parts = [
            Contribution(key=f"{_sha256(_arrays(digest))}/{name}", weight=1.0, source=_arrays(digest))
            for name, _, digest in updates
        ]
        return _sha256(build("foedus.strategies", strategy, {}).step(State(weights), parts).weights)

    def _said(self, update):
        return update.membership.participant.name, update.task_round, self._digests[update.digest]


@contextmanager
def rolled_back():
    try:
        with transaction.atomic():
            yield
            _die()
    except Died:
        pass


def _rule(policy):
    return Rule(name=type(policy).__name__.lower(), options=asdict(policy))


def _die():
    raise Died


def _sha256(arrays):
    return hashlib.sha256(safetensors.encode(arrays)).hexdigest()


def _arrays(digest):
    rng = np.random.default_rng(int.from_bytes(digest.encode()[:8].ljust(8)))
    return Arrays({"w": rng.standard_normal(5).astype(np.float32), "b": rng.standard_normal(2)})
