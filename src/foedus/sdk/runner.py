"""The life of a participant: ask for work, do it, hand it in, and ask again, until the project is finished."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeVar

from foedus.core.arrays import Arrays
from foedus.core.errors import Conflict, Forbidden, Invalid, Late, NotFound, PlatformError
from foedus.sdk.answers import Checkpoint, Receipt, Task
from foedus.sdk.folder import Folder, Pending
from foedus.sdk.heart import Heart
from foedus.sdk.link import Link, path
from foedus.sdk.memory import Memory
from foedus.sdk.models import Models
from foedus.sdk.patience import Patience
from foedus.sdk.problems import BadAnswer, Redirected
from foedus.sdk.states import Sent
from foedus.sdk.training import Abilities, Context, Evaluation, NoEvaluator, Update
from foedus.sdk.updates import packed
from foedus.sdk.uploads import Handover

GRACE_S = 15.0  # how much longer than its wait a long-poll may take
SHORT_WAIT_S = 1.0  # an answer without a task that comes sooner is no long-poll
IMPATIENT = 3  # pauses grow no further: whoever is silent for long counts as absent
Result = TypeVar("Result")

log = logging.getLogger("foedus.participant")


class Failed(Exception):
    """This participant could not do a task; the cause says why."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


@dataclass(slots=True)
class Outcome:
    """What a participant has done. ``finished``: the project is; otherwise it was asked to leave."""

    project: str
    finished: bool = False
    updates: int = 0
    late: int = 0
    declined: int = 0
    checkpoint: Checkpoint | None = None
    receipt: Receipt | None = None


@dataclass(slots=True)
class Runner:
    """One participant of one project. ``failures`` and ``setbacks`` count those in a row."""

    link: Link
    abilities: Abilities
    folder: Folder
    models: Models
    states: Models
    patience: Patience
    project: str
    wait_s: float = 25.0
    max_failures: int = 5
    memory: Memory = field(init=False)
    outcome: Outcome = field(init=False)
    failures: int = field(init=False, default=0)
    setbacks: int = field(init=False, default=0)
    begun: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self.outcome = Outcome(self.project)
        self.memory = Memory(self.folder.path / "memory")

    def run(self) -> Outcome:
        """Work until the project is finished or ``stop`` is set. Raises what makes going on pointless."""
        while not self.outcome.finished:
            asked_at = time.monotonic()
            task = self.patience.call("ask for work", self._next)
            match task.task:
                case "train":
                    self._guarded(task, self._train)
                case "evaluate":
                    self._guarded(task, self._evaluate)
                case "finished":
                    self.outcome.finished = True
                    self.outcome.checkpoint = task.checkpoint
                    log.info("project %s is finished", self.project)
                case _:
                    self._wait(task, time.monotonic() - asked_at)
        return self.outcome

    def _next(self) -> Task:
        params = {"wait": f"{self.wait_s:g}", "can": self.abilities.can, "inline": "true"}
        if not self.begun:
            params["anew"] = "true"  # what an earlier process could not do is not given up for good
        answer = self.link.json("GET", self._path("next"), params=params, answer_s=self.wait_s + GRACE_S)
        self.begun = True
        task = Task.of(answer)
        if task.task in ("train", "evaluate") and task.checkpoint is None:
            raise BadAnswer("a task without a checkpoint")
        if task.task == "train" and task.round is None:
            raise BadAnswer("a training without a round")
        return task

    def _wait(self, task: Task, seconds: float) -> None:
        """The server has waited for us; one that does not is not asked again at once."""
        known = task.task == "wait"
        reasons = " ".join(reason.text for reason in task.reasons)
        self.patience.say(reasons if known else f"the server asks for {task.task!r}, which needs a newer foedus")
        self.setbacks = self.setbacks + 1 if seconds < SHORT_WAIT_S or not known else 0
        self.patience.pause(min(self.setbacks, IMPATIENT))

    def _guarded(self, task: Task, work: Callable[[Task], None]) -> None:
        """Do a task; what goes wrong with this one alone does not end the participant."""
        try:
            work(task)
        except Failed as exc:
            self._fail(task, exc.cause)
        except Redirected:
            raise
        except Invalid as exc:  # the server refuses what we made
            self._fail(task, exc)
        except Late as exc:
            self.outcome.late += 1
            self._set_back(f"round {task.round} was over before its update arrived: {exc.message}")
        except (Conflict, Forbidden, NotFound) as exc:  # of this round; asking for work tells whether it is for all
            if isinstance(exc, Conflict):
                self.folder.drop_pending()
            self._set_back(f"the update of round {task.round} was not taken: {exc.message}")
        else:
            self.failures = self.setbacks = 0

    def _train(self, task: Task) -> None:
        checkpoint, number = _of(task)
        with Heart(self.link, self.project, number, task.heartbeat_s) as heart:
            pending = self.folder.pending(number, checkpoint.digest) or self._make(task, heart)
            if pending is None or heart.over.is_set():
                raise Late("it did not wait for us any longer")
            self._hand_in(pending, heart.over)
        log.info("the update of round %d is accepted", number)

    def _hand_in(self, pending: Pending, over: threading.Event) -> None:
        handover = Handover(self.link, self.project, pending, self.folder.update_file, over)
        self.outcome.receipt = handover.deliver(self.patience)
        self.outcome.updates += 1
        self.folder.note_receipt(asdict(self.outcome.receipt) | {"metrics": dict(pending.metrics)})
        self.memory.commit()
        self.folder.drop_pending()

    def _settle(self) -> None:
        """Learn whether an earlier update was accepted though its receipt never came: what it left behind hangs on it.

        Handing in the same content again does nothing but give the receipt again.
        """
        if not self.memory.proposed:
            return
        earlier = self.folder.unsettled
        if earlier is not None:
            try:
                self._hand_in(earlier, threading.Event())
            except (Conflict, Forbidden, Invalid, NotFound) as exc:
                log.info("the update of round %d was not counted: %s", earlier.round, exc.message)
        self.memory.discard()

    def _make(self, task: Task, heart: Heart) -> Pending | None:
        """Train, and keep the update; None when the training was told that nobody waits for it."""
        checkpoint, number = _of(task)
        self._settle()
        model = self._model(checkpoint)
        sent = self._sent(task, model)
        context = Context(self.project, task, heart.over, self.patience.stop, sent, self.memory)
        if task.evaluate and self.abilities.evaluate is not None:
            self._score_before_training(task, model, context)
        log.info("training in round %d on checkpoint %d", number, checkpoint.number)
        update = _asked(Update, lambda: self.abilities.train(model, task.settings, context))
        self.patience.check()
        if context.abandoned:
            return None
        try:
            return packed(update, model, task, self.folder, self.memory, context.since)
        except Invalid as exc:
            raise Failed(exc) from exc

    def _evaluate(self, task: Task) -> None:
        checkpoint = task.checkpoint
        if checkpoint is None or self.abilities.evaluate is None:
            raise Failed(Invalid("the server asks for an evaluation, which this participant did not offer"))
        with Heart(self.link, self.project, None, task.heartbeat_s) as heart:
            context = Context(self.project, task, heart.over, self.patience.stop)
            self._score(checkpoint, self._model(checkpoint), task, context)

    def _score_before_training(self, task: Task, model: Arrays, context: Context) -> None:
        """A score is an extra: without it the round goes on."""
        checkpoint, _ = _of(task)
        try:
            self._score(checkpoint, model, task, context)
        except Failed as exc:
            log.exception("evaluating checkpoint %d failed", checkpoint.number, exc_info=exc.cause)
        except (Invalid, Conflict, Forbidden, NotFound) as exc:
            log.warning("the score of checkpoint %d was not taken: %s", checkpoint.number, exc.message)

    def _score(self, checkpoint: Checkpoint, model: Arrays, task: Task, context: Context) -> None:
        evaluate = self.abilities.evaluate
        if evaluate is None:
            return
        try:
            evaluation = _asked(Evaluation, lambda: evaluate(model, task.settings, context))
        except Failed as exc:
            if not isinstance(exc.cause, NoEvaluator):
                raise
            self.abilities = replace(self.abilities, evaluate=None)
            log.info("evaluations are left to others: %s", exc.cause)
            return
        body = {"metrics": dict(evaluation.metrics), "examples": evaluation.examples}
        where = self._path("checkpoints", checkpoint.number, "scores")
        self.patience.call("report a score", lambda: self.link.json("POST", where, body=body))
        self.folder.note_receipt({"checkpoint": checkpoint.number, **body})

    def _model(self, checkpoint: Checkpoint) -> Arrays:
        return self._fetched(lambda: self.models.fetch(self.project, checkpoint))

    def _sent(self, task: Task, model: Arrays) -> Sent | None:
        """What the strategy sends along; None where it sends nothing."""
        checkpoint, _ = _of(task)
        offer = task.strategy
        if offer is None or not offer.sends:
            return None
        if (state := offer.state) is None:
            return Sent.beginning(offer.sends, model, checkpoint.number)
        described = replace(checkpoint, digest=state.digest, size_bytes=state.size_bytes, data=state.data)
        return self._fetched(
            lambda: Sent.of(offer.sends, self.states.fetch(self.project, described), checkpoint.number)
        )

    def _fetched(self, fetch: Callable[[], Result]) -> Result:
        try:
            return fetch()
        except Redirected:
            raise
        except Invalid as exc:
            raise Failed(exc) from exc

    def _fail(self, task: Task, cause: Exception) -> None:
        """Say here what went wrong, there only of which kind it was: an exception's text may hold data."""
        self.failures += 1
        own = not isinstance(cause, PlatformError)  # else its sentence says all, and the way to it is ours
        what = f"round {task.round} failed here ({self.failures} in a row)"
        log.error("%s: %s", what, _one_line(cause), exc_info=cause if own else None)
        self.folder.drop_pending()
        if task.round is not None:
            self._decline(task.round, type(cause).__name__)
        if self.failures >= self.max_failures:
            raise cause
        self._pause()

    def _decline(self, number: int, reason: str) -> None:
        where = self._path("rounds", number, "decline")
        try:
            self.patience.call("decline", lambda: self.link.json("POST", where, body={"reason": reason}))
        except (Invalid, Conflict, Forbidden, NotFound) as exc:
            log.warning("the server did not take the refusal of round %d: %s", number, exc.message)
        else:
            self.outcome.declined += 1

    def _set_back(self, sentence: str) -> None:
        log.warning("%s", sentence)
        self._pause()

    def _pause(self) -> None:
        """Nothing for the first setback, so that being late once costs no time."""
        self.setbacks += 1
        self.patience.pause(min(self.setbacks - 1, IMPATIENT))

    def _path(self, *segments: Any) -> str:
        return path("projects", self.project, *segments)


def _of(task: Task) -> tuple[Checkpoint, int]:
    if task.checkpoint is None or task.round is None:
        raise BadAnswer("a training without a checkpoint or a round")
    return task.checkpoint, task.round


def _one_line(cause: Exception) -> str:
    return f"{type(cause).__name__}: {cause}".split("\n", maxsplit=1)[0]


def _asked(kind: type[Result], function: Callable[[], Any]) -> Result:
    """What the participant's own code hands back. Raises Failed for whatever goes wrong in it."""
    try:
        result = function()
    except Exception as exc:
        raise Failed(exc) from exc
    if not isinstance(result, kind):
        raise Failed(TypeError(f"expected foedus.sdk.{kind.__name__}, got {type(result).__name__}"))
    return result
