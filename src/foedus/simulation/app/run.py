"""The loop: ask for everybody's tasks, have them done, hand in what comes of them, and let the rounds move on."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import groupby
from math import fsum

from foedus.core.errors import Conflict, Forbidden, Invalid, Late, NotFound
from foedus.ports.bus import Subscription
from foedus.records.learning.models import Checkpoint
from foedus.sdk.answers import Task
from foedus.sdk.training import Evaluation
from foedus.services.learning.equipment import read_state
from foedus.services.shell import jobs
from foedus.simulation.app.app import Place
from foedus.simulation.app.engines import Engine, Order
from foedus.simulation.app.failures import Failure
from foedus.simulation.app.report import Report, Trouble
from foedus.simulation.app.work import PROJECT, Batch, Bytes, Item, Kind, Result, Trained
from foedus.simulation.app.world import BETWEEN_ROUNDS, HandedIn, World
from foedus.simulation.table import RoundRow, RoundTable

BATCH_BYTES = 16 << 20  # of updates in one answer of a worker
TOGETHER = 64  # updates that are handed in at once
SCORES_TOGETHER = 500
TRIED = 10  # trainings that fail, and none that does not, before a run is given up at a round's edge
_SHARES = 8  # batches a worker gets in a round, so that all end at about the same time

Asked = tuple[int, Task]


class Simulation:
    """One project from its first model to its end. ``say`` gets failures as they happen."""

    def __init__(
        self, world: World, engine: Engine, place: Place, report: Report, table: RoundTable, say: Callable[[str], None]
    ) -> None:
        self._world, self._engine, self._place = world, engine, place
        self._report, self._table, self._say = report, table, say
        self._memory: dict[int, dict[str, bytes]] = {}
        self._told: set[tuple[str, ...]] = set()
        self._given_up = 0  # trainings
        self._round = 0
        self._began = self._round_began = time.perf_counter()
        self._row: RoundRow | None = None

    def run(self) -> None:
        """Until the project is finished, paused by its policy, or waits for nothing that will ever happen."""
        woken = self._world.ports.bus.subscribe(jobs.SUBJECT)
        try:
            while self._cycle(woken):
                pass
        finally:
            woken.close()
        self._finish()

    def _cycle(self, woken: Subscription) -> bool:
        """Whether there may be more to do."""
        world = self._world
        asked = world.tasks()
        self._evaluate([(index, task) for index, task in asked if task.evaluate])
        trainings = [(index, task) for index, task in asked if task.task == "train"]
        if trainings:
            self._train(trainings, woken)
            return not self._is_hopeless
        return world.project.state == "running" and world.leap() and self._settled()

    @property
    def _is_hopeless(self) -> bool:
        """Whether everybody who tried has failed, and those were enough to tell."""
        report = self._report
        return report.updates == report.late == 0 and self._given_up >= min(TRIED, report.participants)

    def _evaluate(self, asked: list[Asked]) -> None:
        began = time.perf_counter()
        found: dict[int, list[tuple[int, Evaluation]]] = {}
        for done, (index, task, result) in enumerate(self._results("evaluate", asked), 1):
            if isinstance(result, Failure):
                self._fail(Trouble.of(index, None, result))
            elif isinstance(result, Evaluation):
                found.setdefault(_checkpoint(task), []).append((index, result))
            self._table.progress(done, done / (time.perf_counter() - began), "evaluating")
        scored = {number: self._scored(number, evaluated) for number, evaluated in found.items()}
        means = {number: _mean(evaluations) for number, evaluations in scored.items() if evaluations}
        self._report.scores.update(means)
        self._show_row(means)

    def _scored(self, number: int, evaluated: Sequence[tuple[int, Evaluation]]) -> list[Evaluation]:
        """Those that count."""
        counted = []
        for start in range(0, len(evaluated), SCORES_TOGETHER):
            some = evaluated[start : start + SCORES_TOGETHER]
            for (index, evaluation), error in zip(some, self._world.score(number, some), strict=True):
                if error is None:
                    counted.append(evaluation)
                elif isinstance(error, Invalid):
                    self._fail(Trouble.of(index, None, Failure(type(error).__name__, (error.message,))))
                else:
                    raise error
        return counted

    def _train(self, asked: list[Asked], woken: Subscription) -> None:
        began = time.perf_counter()
        self._table.round_started(max(task.round or 0 for _, task in asked), len(asked))
        reported = 0
        at_once = TOGETHER if self._world.counts_together else 1
        waiting: list[HandedIn] = []
        for index, task, result in self._results("train", asked):
            reported += 1
            if isinstance(result, Trained):
                waiting.append(HandedIn(index, task, result))
            if len(waiting) < at_once and reported < len(asked) and not isinstance(result, Failure):
                continue
            self._submit(waiting)
            waiting = []
            if isinstance(result, Failure):
                self._give_up(index, task, result)
            self._table.progress(reported, reported / (time.perf_counter() - began))
            if _was(woken):
                self._settled()

    def _submit(self, handed_in: Sequence[HandedIn]) -> None:
        for one, error in zip(handed_in, self._world.submit(handed_in), strict=True):
            match error:
                case None:
                    self._report.updates += 1
                    if one.update.memory:
                        self._memory.setdefault(one.index, {}).update(one.update.memory)
                case Late() | Conflict() | Forbidden() | NotFound():  # the round went on without it
                    self._report.late += 1
                case Invalid():  # a mistake of the app: what it made is not what the project wants
                    self._give_up(one.index, one.task, Failure(type(error).__name__, (error.message,)))
                case _:
                    raise error

    def _give_up(self, index: int, task: Task, failure: Failure) -> None:
        self._given_up += 1
        self._fail(Trouble.of(index, task.round, failure))
        try:
            self._world.decline(index, task, failure.kind)
        except (Conflict, Forbidden, NotFound):
            return

    def _fail(self, trouble: Trouble) -> None:
        self._report.add(trouble)
        if trouble.place not in self._told:
            self._told.add(trouble.place)
            self._say(str(trouble))

    def _settled(self) -> bool:
        """Do the jobs that are due, and tell of the rounds that are over."""
        world = self._world
        while world.do_jobs(world.ports, world.now):
            pass
        for ended in world.rounds_after(self._round):
            self._show_row({})
            now = time.perf_counter()
            self._row = RoundRow(
                number=ended.number,
                reported=ended.reported_count or 0,
                invited=ended.invited_count or 0,
                seconds=now - self._round_began,
                loss=ended.metrics.get("loss"),
                accuracy=ended.metrics.get("accuracy"),
            )
            self._round, self._round_began = ended.number, now
            if ended.checkpoint is None:
                self._say(f"round {ended.number} brought no model: {(ended.reason or {}).get('text', '')}")
            if self._report.first_round_s is None:
                self._report.first_round_s = now - self._began
            if not world.evaluates:
                self._show_row({})
            world.passes(BETWEEN_ROUNDS)
        return True

    def _show_row(self, scores: Mapping[int, Mapping[str, float]]) -> None:
        """Rounds are shown once their model was evaluated, if it is to be."""
        row, self._row = self._row, None
        if row is None:
            return
        accuracy = scores[max(scores)].get("accuracy", row.accuracy) if scores else row.accuracy
        shown = RoundRow(
            number=row.number, reported=row.reported, invited=row.invited, seconds=row.seconds,
            loss=row.loss, accuracy=accuracy,
        )  # fmt: skip
        self._report.rounds.append(shown)
        self._table.round_finished(shown)

    def _results(self, kind: Kind, asked: list[Asked]) -> Iterator[tuple[int, Task, Result]]:
        """What came of tasks, in their order. Those from one checkpoint are done together."""
        for _, group in groupby(asked, key=lambda each: _checkpoint(each[1])):
            same = list(group)
            with ExitStack() as stack:
                order = self._order(kind, same, stack)
                found = (result for results in self._engine.results(order) for result in results)
                yield from ((index, task, result) for (index, task), result in zip(same, found, strict=True))

    def _order(self, kind: Kind, asked: list[Asked], stack: ExitStack) -> Order:
        task = asked[0][1]
        row = Checkpoint.objects.get(project__key=PROJECT, number=_checkpoint(task))
        local = self._world.ports.blobs.local
        state: Bytes | None = None
        if kind == "train" and task.strategy is not None and task.strategy.state is not None:
            kept = read_state(self._world.ports, self._world.operator, PROJECT, row.number)
            state = stack.enter_context(local(kept.blob))
        items = [Item(index, task, self._memory.get(index, {})) for index, task in asked]
        size = _batch_size(len(items), self._engine.workers, row.size_bytes)
        report = self._report
        batches = tuple(
            Batch(kind, self._place, report.participants, report.seed, tuple(items[start : start + size]))
            for start in range(0, len(items), size)
        )
        return Order(stack.enter_context(local(row.blob)), state, batches)

    def _finish(self) -> None:
        self._show_row({})
        report, world = self._report, self._world
        project, latest = world.project, world.latest()
        report.state, report.reason = project.state, world.reasons()
        if project.state == "running" and self._is_hopeless:
            report.state, report.reason = "stopped", "no training succeeded, and others would fail as well."
        report.seconds = time.perf_counter() - self._began
        report.updates_per_second = report.updates / report.seconds
        report.checkpoint, report.digest = latest.number, latest.digest


def _batch_size(items: int, workers: int, update_bytes: int) -> int:
    fair = -(-items // (workers * _SHARES))
    return max(1, min(fair, BATCH_BYTES // max(1, update_bytes)))


def _checkpoint(task: Task) -> int:
    return task.checkpoint.number if task.checkpoint else 0


def _mean(evaluations: Iterable[Evaluation]) -> dict[str, float]:
    """By metric, weighted by examples; over those that report it."""
    by_name: dict[str, list[tuple[float, float]]] = {}
    for evaluation in evaluations:
        for name, value in evaluation.metrics.items():
            by_name.setdefault(name, []).append((value, evaluation.examples))
    return {name: fsum(v * w for v, w in pairs) / fsum(w for _, w in pairs) for name, pairs in by_name.items()}


def _was(woken: Subscription) -> bool:
    """Whether there was a word of a job since the last time."""
    found = False
    while woken.next(0) is not None:
        found = True
    return found
