"""Inputs and models chosen: by rows not learned, of the request or a data source, or by statistics alone."""

import time
from collections.abc import Callable, Iterator, Mapping
from math import ceil
from typing import Any

import numpy as np
from django.db import transaction

from foedus.core import registry
from foedus.core.errors import Invalid, TooLarge
from foedus.core.exploration import Query
from foedus.core.models import Task
from foedus.core.models.model import GROUP, columns_of
from foedus.core.models.reduction import reduced
from foedus.core.models.selection import Choice, InputSelection, Jury, auto_select, usual_criterion
from foedus.core.symetryml.frames import Floats, Frame
from foedus.core.symetryml.inputs import inputs_of
from foedus.ports import Ports
from foedus.records.statistics.models import StatisticsProject
from foedus.services.statistics import sources
from foedus.services.statistics.answering import ANSWERS
from foedus.services.statistics.encoding import encoded_columns
from foedus.services.statistics.errors import NotSupported
from foedus.services.statistics.jobs import Running
from foedus.services.statistics.learning import frame_of, known_letters
from foedus.services.statistics.modelling import Built, check_algorithm, fit, keep, recipe_options, task_of
from foedus.services.statistics.taking import guessed

MAX_ROWS = 1_000_000  # that judge
MAX_SECONDS = 3_600
TASKS = {"binary_classifier": "binary_classification"}  # what clients say too
SEARCHES = {
    "selector_type_fw_bw": "fw_bw", "selector_type_simple": "simple", "selector_type_brute": "brute",
    "selector_type_iteration": "iteration", "selector_type_genetic": "genetic",
    "selector_type_bayesian": "bayesian",
}  # fmt: skip
CRITERIA = {"lda": "auc", "lsvm": "auc", "mlda": "mf1_w", "mqda": "mf1_w", "bayes": "mf1_w"}  # others: rmse


def select_model(job: Running) -> None:
    """The inputs with which a model judges best; the model is there once the job is done."""
    asked, query = job.row.payload, _query(job)
    algorithm = check_algorithm(asked["algorithm"])
    options = recipe_options(registry.load(GROUP, algorithm), query.options)
    criterion = query.options.get("sml_model_assessment_type") or CRITERIA.get(algorithm, "rmse")

    def chosen(task: Task, frame: Mapping[str, Floats]) -> Choice:
        statistics = ANSWERS.read(job.ports, job.project).value
        jury = Jury(frame, task.targets, criterion)
        return _search(query).select(statistics, algorithm, options, task, jury, _deadline(query))

    _choose(job, query, criterion, chosen)


def select_automatically(job: Running) -> None:
    """The best model for a kind of task, over the algorithms that fit it and a grid of options."""
    query, kind = _query(job), checked_task(job.row.payload["kind"])
    grid = query.options.get("autoselect_grid_type") or query.options.get("autoselect_grid_type_") or "tiny"
    criterion = query.options.get("sml_model_assessment_type") or usual_criterion(kind)

    def chosen(task: Task, frame: Mapping[str, Floats]) -> Choice:
        statistics = ANSWERS.read(job.ports, job.project).value
        return auto_select(
            statistics, kind, task, frame, grid=grid.removeprefix("autoselect_grid_type_"),
            criterion=criterion, enough=_deadline(query),
        )  # fmt: skip

    _choose(job, query, criterion, chosen)


def checked_task(kind: str) -> str:
    """A kind of task by its one name. Raises Invalid."""
    kind = TASKS.get(kind, kind)
    usual_criterion(kind)
    return kind


def reduce(job: Running) -> None:
    """A model of the inputs that are left when those that explain next to nothing are dropped."""
    asked, query = job.row.payload, _query(job)
    statistics = ANSWERS.read(job.ports, job.project).value
    task = reduced(statistics, Task(query.inputs, query.targets), loss=asked["loss"], most=asked["most"])
    built = fit(job.ports, job.project, asked["algorithm"], task, query.options)
    with transaction.atomic():
        keep(job.actor, job.project, asked["model"], built, now=job.now)
        job.done()


def _choose(job: Running, query: Query, criterion: str, choose: Callable[[Task, Mapping[str, Floats]], Choice]) -> None:
    kept = ANSWERS.read(job.ports, job.project)
    inputs, targets = columns_of(kept.value, Task(query.inputs, query.targets))
    began = time.perf_counter()
    choice = choose(Task(inputs, targets), _jury(job, inputs, targets))
    options = {name: str(value) for name, value in choice.options.items()}
    built = Built(
        choice.algorithm,
        choice.model,
        task_of(choice.model, Task(inputs, targets)),
        options,
        kept.version,
        time.perf_counter() - began,
    )
    with transaction.atomic():
        keep(job.actor, job.project, job.row.payload["model"], built, now=job.now)
        job.done(
            algorithm=choice.algorithm, score=choice.score, criterion=criterion, tried=choice.tried,
            inputs=list(choice.model.inputs), options=options,
        )  # fmt: skip


def _jury(job: Running, inputs: tuple[str, ...], targets: tuple[str, ...]) -> dict[str, Floats]:
    """The rows that judge, by column; those without a target cannot. Raises Invalid, TooLarge."""
    parts: dict[str, list[Floats]] = {name: [] for name in (*inputs, *targets)}
    rows = 0
    for frame in _frames(job):
        rows += frame.rows
        if rows > MAX_ROWS:
            raise TooLarge(f"at most {MAX_ROWS} rows judge a model", rows=rows)
        found = inputs_of(frame, tuple(parts), encoded_columns(job.project, frame))
        for name, part in parts.items():
            part.append(found.get(name, np.full(frame.rows, np.nan)))
    columns = {name: np.concatenate(part) if part else np.zeros(0) for name, part in parts.items()}
    whole = ~np.isnan(np.array([columns[name] for name in targets])).any(axis=0)
    if not whole.any():
        raise Invalid("there is no row to judge by in which the targets have values")
    return {name: column[whole] for name, column in columns.items()}


def _frames(job: Running) -> Iterator[Frame]:
    kept, source = ANSWERS.read(job.ports, job.project), job.row.payload["source"]
    if not source:
        yield frame_of(job.project, job.body(), kept)
        return
    letters = {name: letter.value for name, letter in known_letters(kept).items()}
    place = sources.place_of(job.ports, sources.find_source(job.row.customer, source))
    with sources.opened(job.ports, place) as reading:
        for rows in reading.rows:
            for k, name in enumerate(rows.names):
                letters.setdefault(name, guessed(row[k] for row in rows.data))
            yield frame_of(job.project, rows.frame([letters[name] for name in rows.names]), kept)


def _search(query: Query) -> InputSelection:
    said = query.options.get("selector_type") or "selector_type_fw_bw"
    search = SEARCHES.get(said if said.startswith("selector_type") else f"selector_type_{said}")
    if search is None:
        raise NotSupported(f"there is no search {said[:40]!r} of inputs here; there are {', '.join(SEARCHES)}")
    rounds = query.whole("selector_max_iterations", 5 if search != "iteration" else 100, 1, 10_000)
    seed = query.whole("rnd_seed", 0, 0, 2**31)
    if search == "iteration":  # each of which tries one set
        return InputSelection(search="iteration", rounds=ceil(rounds / 2), population=2, seed=seed)
    return InputSelection(search=search, rounds=rounds, seed=seed)  # type: ignore[arg-type]  # one of SEARCHES


def _deadline(query: Query) -> Callable[[], bool]:
    """Whether the seconds that the customer grants, or this server does, are over."""
    end = time.monotonic() + query.whole("selector_max_seconds", MAX_SECONDS, 1, MAX_SECONDS)
    return lambda: time.monotonic() > end


def _query(job: Running) -> Query:
    fields = job.row.payload["query"]
    return Query(tuple(fields["inputs"]), tuple(fields["targets"]), fields["options"])


def check_rows(ports: Ports, project: StatisticsProject, value: Any) -> None:
    """Raises Invalid for what is no DataFrame, before work on it is promised."""
    frame_of(project, value, ANSWERS.read(ports, project))
