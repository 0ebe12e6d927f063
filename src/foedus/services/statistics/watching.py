"""Models that watch an output of another one for extremes: made, asked, and removed."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
from django.db import transaction

from foedus.core.errors import Invalid
from foedus.core.models import Task, document
from foedus.core.models.tails import LEAST, MAX_KEPT, ExtremeValues
from foedus.core.models.watching import Watched
from foedus.core.symetryml.preparation import whole
from foedus.records.statistics.models import StatisticsModel, StatisticsProject
from foedus.services.shell.authorisation import Actor, Verb, require
from foedus.services.statistics.errors import ModelMissing, NotSupported
from foedus.services.statistics.modelling import Built, find_model, keep, recipe_of

ALGORITHM = "evtwrapper"
KEY, NAME = "sml_evt_wrapper_res_key", "sml_evt_wrapper_model_id"
WARMUP, MOST, WINDOW = "evt_warmup_size", "evt_max_exceedances", "evt_window_size"
Answers = list[dict[str, float | str]]


def watch(
    actor: Actor, project: StatisticsProject, model: str, options: Mapping[str, str], *, now: datetime
) -> StatisticsModel:
    """A model beside ``model`` that says more: whether its output is extreme. Raises Invalid, ModelMissing."""
    row = find_model(project, model)
    if row.algorithm == ALGORITHM:
        raise Invalid("this model watches another one already")
    if options.get(WINDOW, "0") not in ("", "0"):
        raise NotSupported(f"thresholds are of all values that were seen; leave {WINDOW} out")
    recipe: ExtremeValues = recipe_of("evt", options)
    watched = Watched.new(
        row.name, options.get(KEY) or "res", whole(options, WARMUP, 1000, 1, 10**7), recipe,
        whole(options, MOST, 2000, 2 * LEAST, MAX_KEPT),
    )  # fmt: skip
    task = Task(tuple(row.inputs), tuple(row.targets))
    with transaction.atomic():
        built = Built(ALGORITHM, watched, task, options, row.version, 0.0)
        return keep(actor, project, options.get(NAME) or f"{row.name}_evt", built, now=now)


def unwatch(actor: Actor, project: StatisticsProject, model: str) -> None:
    """Remove all that watch a model, or one of them by its own name. Raises ModelMissing."""
    require(actor, Verb.CHANGE, project)
    rows = StatisticsModel.objects.filter(project=project, algorithm=ALGORITHM)
    named = [row.pk for row in rows if row.name == model or _watched(row).model == model]
    if not named:
        raise ModelMissing(f"no model watches {model[:80]!r}", model=model[:200])
    StatisticsModel.objects.filter(pk__in=named).delete()


def judged(row: StatisticsModel, answers: Answers) -> Answers:
    """What the watched model said, with whether it is extreme; that it was said is remembered."""
    with transaction.atomic():
        locked = StatisticsModel.objects.select_for_update().get(pk=row.pk)
        watched = _watched(locked)
        found, after = watched.judged(_values(answers, watched.key))
        locked.fitted = document.encode(ALGORITHM, after).decode()
        locked.save(update_fields=["fitted"])
    columns = {name: column.tolist() for name, column in found.items()}
    return [answer | {name: column[k] for name, column in columns.items()} for k, answer in enumerate(answers)]


def watched_name(row: StatisticsModel) -> str:
    """The model whose output it watches."""
    return _watched(row).model


def _watched(row: StatisticsModel) -> Watched:
    return document.decode(row.fitted.encode())[1]  # type: ignore[no-any-return]


def _values(answers: Answers, key: str) -> Any:
    try:
        return np.array([float(answer[key]) for answer in answers], dtype=np.float64)
    except (KeyError, ValueError):
        known = ", ".join(answers[0]) if answers else "none"
        raise Invalid(f"the watched model has no number {key[:80]!r} in its answers; they are {known}") from None
