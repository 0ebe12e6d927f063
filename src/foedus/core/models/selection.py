"""Which inputs, and which model: candidates come from statistics, and rows kept aside judge them.

Source of the searches: Guyon and Elisseeff, JMLR 3 (2003); the genetic one: Goldberg, Genetic Algorithms (1989); the
Bayesian one: Baptista and Poloczek, ICML 2018, there with pairs of inputs.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from foedus.core import registry
from foedus.core.errors import Invalid
from foedus.core.models.assessment import CRITERIA
from foedus.core.models.model import GROUP, Model, Outputs, Task, predicted
from foedus.core.statistics import Statistics

Search = Literal["fw_bw", "simple", "brute", "iteration", "genetic", "bayesian"]
MAX_BRUTE = 17  # inputs: twice as many sets with each more
GRIDS: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = {  # mixes and strengths of the elastic net
    "tiny": ((0.0, 0.5, 1.0), (1e-3, 1e-2, 0.1)),
    "small": ((0.0, 0.5, 1.0), (1e-3, 1e-2, 0.1, 1.0)),
    "normal": ((0.0, 1 / 3, 2 / 3, 1.0), (1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0)),
    "large": ((0.0, 0.2, 0.4, 0.6, 0.8, 1.0), tuple(10.0**power for power in range(-9, 4))),
}
TASKS: Mapping[str, tuple[tuple[str, ...], str]] = {  # algorithms, and the criterion by default
    "binary_classification": (("lda", "lsvm", "bayes", "mqda"), "auc"),
    "regression": (("mlr", "lsvr", "elasticnet"), "rmse"),
    "multiclass_classifier": (("mlda", "mqda", "bayes"), "mf1_w"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Jury:
    """Rows that were not learned, by column, and the criterion of ``assessment.CRITERIA`` that judges by them."""

    frame: Mapping[str, NDArray[Any]]
    targets: tuple[str, ...]
    criterion: str

    def __post_init__(self) -> None:
        if self.criterion not in CRITERIA:
            raise Invalid(f"{self.criterion[:40]!r} is not one of the criteria: {', '.join(CRITERIA)}")
        missing = [name for name in self.targets if name not in self.frame]
        if missing or not self.targets:
            raise Invalid(f"the rows that judge lack the targets {missing[:5]}")

    def judged(self, model: Model) -> float:
        """The greater the better. Raises Invalid when the criterion does not fit the model."""
        criterion = CRITERIA[self.criterion]
        found = self._found(predicted(model, self.frame), criterion.takes)
        return criterion.sign * criterion.of(self._truth(criterion.takes), found)

    def _truth(self, takes: str) -> NDArray[Any]:
        columns: list[NDArray[Any]] = [np.asarray(self.frame[name], np.float64) for name in self.targets]
        if takes != "labels":
            return columns[0]
        if len(columns) == 1:
            return np.where(columns[0] > 0.5, "1", "0")
        return np.asarray(np.array(self.targets, dtype=np.str_)[np.column_stack(columns).argmax(axis=1)])

    def _found(self, outputs: Outputs, takes: str) -> NDArray[Any]:
        res = outputs["res"]
        match takes:
            case "numbers" if res.dtype.kind == "f":
                return res
            case "labels":
                return np.asarray(res if res.dtype.kind == "U" else np.where(res > 0.5, "1", "0"))
            case "decisions":
                return res if res.dtype.kind == "f" else (res == "1").astype(np.float64)
            case "scores":
                return next((outputs[key] for key in ("resZ", "1", "Prob") if key in outputs), res)
        raise Invalid(f"the criterion {self.criterion!r} does not judge models of this kind")


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """The best model, how it was made, how good it is, and how many were tried."""

    algorithm: str
    options: Mapping[str, Any]
    model: Any
    score: float
    tried: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSelection:
    """``search``: "simple" adds the best input while that helps; "fw_bw" also drops one, for ``rounds`` rounds; "brute"
    tries all sets of at most MAX_BRUTE inputs; "iteration" tries random sets; "genetic" breeds them; "bayesian" draws
    sets by what is believed of each input. The last three try ``rounds`` times a population of sets. ``enough`` is
    asked before each try whether to stop.
    """

    search: Search = "fw_bw"
    rounds: int = 5
    seed: int = 0
    population: int = 20

    def __post_init__(self) -> None:
        if not (1 <= self.rounds <= 10_000 and 2 <= self.population <= 1_000 and self.seed >= 0):
            raise Invalid("rounds are 1 to 10000, the population is 2 to 1000, the seed not negative")

    def select(
        self,
        statistics: Statistics,
        algorithm: str,
        options: Mapping[str, Any],
        task: Task,
        jury: Jury,
        enough: Callable[[], bool] = lambda: False,
    ) -> Choice:
        """Raises Invalid when no set of inputs gives a model."""
        trial = _Trial(statistics, algorithm, options, task, jury, enough)
        rng = np.random.default_rng(self.seed)
        match self.search:
            case "simple":
                self._stepped(trial, backward=False)
            case "fw_bw":
                self._stepped(trial, backward=True)
            case "brute":
                _brute(trial)
            case "iteration":
                for _ in range(self.rounds * self.population):
                    trial.score(_random(rng, len(task.inputs)))
            case "genetic":
                self._bred(trial, rng)
            case "bayesian":
                self._believed(trial, rng)
        return trial.best()

    def _stepped(self, trial: "_Trial", *, backward: bool) -> None:
        chosen: frozenset[int] = frozenset()
        best = -np.inf
        for _ in range(len(trial.task.inputs) if not backward else self.rounds):
            before = best
            chosen, best = _improved(trial, chosen, best, [chosen | {j} for j in range(len(trial.task.inputs))])
            if backward:
                chosen, best = _improved(trial, chosen, best, [chosen - {j} for j in chosen])
            if best <= before:
                return

    def _bred(self, trial: "_Trial", rng: np.random.Generator) -> None:
        size = len(trial.task.inputs)
        herd = [_random(rng, size) for _ in range(self.population)]
        for _ in range(self.rounds):
            ranked = sorted(herd, key=lambda each: (-trial.score(each), sorted(each)))
            parents = ranked[: max(2, self.population // 2)]
            herd = parents + [_child(rng, parents, size) for _ in range(self.population - len(parents))]

    def _believed(self, trial: "_Trial", rng: np.random.Generator) -> None:
        """Half of the tries at random; then each is the best set by one draw of what a score's slopes may be."""
        size, tries = len(trial.task.inputs), self.rounds * self.population
        for k in range(tries):
            places = _random(rng, size)
            known = [(each, score) for each, score in trial.scores.items() if np.isfinite(score)]
            if 2 * k >= min(tries, 2 * self.population) and len(known) > 1:
                drawn = _drawn_slopes(rng, known, size)
                places = frozenset(np.flatnonzero(drawn > 0).tolist()) or frozenset({int(drawn.argmax())})
            trial.score(places)


@dataclass
class _Trial:
    """Sets of inputs and their scores; each is tried once. A set that gives no model scores minus infinity."""

    statistics: Statistics
    algorithm: str
    options: Mapping[str, Any]
    task: Task
    jury: Jury
    enough: Callable[[], bool]
    scores: dict[frozenset[int], float] = field(default_factory=dict)
    champion: tuple[float, Any] = (-np.inf, None)

    def score(self, places: frozenset[int]) -> float:
        if places in self.scores or not places or self.enough():
            return self.scores.get(places, -np.inf)
        inputs = tuple(self.task.inputs[j] for j in sorted(places))
        try:
            model = registry.build(GROUP, self.algorithm, self.options).fit(
                self.statistics, Task(inputs, self.task.targets)
            )
            score = self.jury.judged(model)
        except Invalid:
            self.scores[places] = -np.inf
            return -np.inf
        self.scores[places] = score
        if score > self.champion[0]:
            self.champion = (score, model)
        return score

    def best(self) -> Choice:
        score, model = self.champion
        if model is None:
            raise Invalid("no choice of these inputs gives a model that can be judged")
        return Choice(self.algorithm, self.options, model, score, len(self.scores))


def _improved(
    trial: _Trial, chosen: frozenset[int], best: float, others: Sequence[frozenset[int]]
) -> tuple[frozenset[int], float]:
    for other in others:
        score = trial.score(other)
        if score > best:
            chosen, best = other, score
    return chosen, best


def _brute(trial: _Trial) -> None:
    size = len(trial.task.inputs)
    if size > MAX_BRUTE:
        raise Invalid(f"all sets are tried of at most {MAX_BRUTE} inputs, here are {size}: use another search")
    for count in range(1, size + 1):
        for places in combinations(range(size), count):
            trial.score(frozenset(places))


def _random(rng: np.random.Generator, size: int) -> frozenset[int]:
    chosen = np.flatnonzero(rng.random(size) < rng.random())
    return frozenset(chosen.tolist() or [int(rng.integers(size))])


def _drawn_slopes(
    rng: np.random.Generator, known: Sequence[tuple[frozenset[int], float]], size: int
) -> NDArray[np.float64]:
    """What each input adds to the score, drawn from the posterior of a linear regression of scores on sets."""
    design = np.array([[j in places for j in range(size)] for places, _ in known], dtype=np.float64)
    scores = np.array([score for _, score in known])
    design, scores = design - design.mean(axis=0), scores - scores.mean()
    scale = float(scores.std()) or 1.0
    precision = design.T @ design + np.eye(size)
    mean = np.linalg.solve(precision, design.T @ (scores / scale))
    noise = np.linalg.solve(np.linalg.cholesky(precision).T, rng.standard_normal(size))
    return np.asarray(mean + noise)


def _child(rng: np.random.Generator, parents: Sequence[frozenset[int]], size: int) -> frozenset[int]:
    mother, father = (parents[int(k)] for k in rng.choice(len(parents), 2, replace=False))
    genes = {j for j in range(size) if j in (mother if rng.random() < 0.5 else father)}
    mutated = genes ^ {j for j in range(size) if rng.random() < 1 / size}
    return frozenset(mutated or {int(rng.integers(size))})


def usual_criterion(kind: str) -> str:
    """By what models for a kind of task are judged unless somebody says otherwise. Raises Invalid."""
    if kind not in TASKS:
        raise Invalid(f"there is no task {kind[:40]!r}; there are {', '.join(TASKS)}")
    return TASKS[kind][1]


def auto_select(
    statistics: Statistics,
    kind: str,
    task: Task,
    frame: Mapping[str, NDArray[Any]],
    *,
    grid: str = "tiny",
    criterion: str | None = None,
    enough: Callable[[], bool] = lambda: False,
) -> Choice:
    """The best of all models for a kind of task, by rows that were not learned. Raises Invalid when there is none."""
    criterion = criterion or usual_criterion(kind)
    if grid not in GRIDS:
        raise Invalid(f"there is no grid {grid[:40]!r}; there are {', '.join(GRIDS)}")
    algorithms, _ = TASKS[kind]
    jury = Jury(frame, task.targets, criterion)
    best, tried = None, 0
    for algorithm, options in _candidates(algorithms, grid):
        if enough() and best:
            break
        tried += 1
        trial = _Trial(statistics, algorithm, options, task, jury, lambda: False)
        score = trial.score(frozenset(range(len(task.inputs))))
        if trial.champion[1] is not None and (best is None or score > best.score):
            best = trial.best()
    if best is None:
        raise Invalid("none of the models for this task can be made of these statistics")
    return Choice(best.algorithm, best.options, best.model, best.score, tried)


def _candidates(algorithms: Sequence[str], grid: str) -> Iterator[tuple[str, dict[str, Any]]]:
    mixes, strengths = GRIDS[grid]
    for algorithm in algorithms:
        if algorithm != "elasticnet":
            yield algorithm, {}
            continue
        for mix in mixes:
            for strength in strengths:
                yield algorithm, {"mix": mix, "strength": strength}
