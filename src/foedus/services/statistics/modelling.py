"""Models of a project: built from its statistics, kept as documents, and asked for predictions."""

import base64
import binascii
import time
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from foedus.core import registry
from foedus.core.companions.declared import DECLARATIONS
from foedus.core.errors import Invalid
from foedus.core.models import Task, document
from foedus.core.models.export import code
from foedus.core.models.model import GROUP, SUMMARIES
from foedus.core.symetryml.recipes import translated
from foedus.ports import Ports
from foedus.records.statistics.models import StatisticsModel, StatisticsProject
from foedus.services.shell.authorisation import Actor, Verb, require
from foedus.services.statistics.answering import ANSWERS
from foedus.services.statistics.errors import ModelMissing
from foedus.services.statistics.keeping import Kept
from foedus.services.statistics.plans import declared_of
from foedus.services.statistics.projects import check_name

MAX_MODELS = 10_000  # of one project
MAX_TRIED_CLUSTERS = 100


@dataclass(frozen=True, slots=True)
class Built:
    """A model with how it came about: from the statistics at ``version``, in ``seconds``."""

    algorithm: str
    model: Any
    task: Task
    options: Mapping[str, Any]
    version: int
    seconds: float


def check_algorithm(algorithm: str) -> str:
    """Raises Invalid, with those that there are."""
    known = sorted({*registry.names(GROUP), *registry.names(SUMMARIES)})
    if algorithm not in known:
        raise Invalid(f"there is no algorithm {algorithm[:40]!r}; there are {', '.join(known)}")
    return algorithm


def fit(ports: Ports, project: StatisticsProject, algorithm: str, task: Task, options: Mapping[str, str]) -> Built:
    """A model of the statistics, or of what is kept beside them, as they are now. Raises Invalid, NotFound."""
    return fit_recipe(ports, project, algorithm, recipe_of(algorithm, options), task, options)


def fit_recipe(
    ports: Ports, project: StatisticsProject, algorithm: str, recipe: Any, task: Task, options: Mapping[str, Any]
) -> Built:
    """As ``fit``, by a recipe that is there already."""
    kept = ANSWERS.read(ports, project)
    began = time.perf_counter()
    if algorithm in registry.names(SUMMARIES):
        model = recipe.fit(summary_of(project, kept, recipe.summary, task))
    else:
        model = recipe.fit(kept.value, task)
    return Built(algorithm, model, task_of(model, task), options, kept.version, time.perf_counter() - began)


def recipe_of(algorithm: str, options: Mapping[str, str]) -> Any:
    """By options as texts, those of other recipes left out. Raises Invalid."""
    group = _group(algorithm)
    return registry.build(group, algorithm, recipe_options(registry.load(group, algorithm), options))


def strict_recipe(algorithm: str, options: Mapping[str, Any]) -> Any:
    """By options of the recipe's own names and types. Raises Invalid for any other."""
    return registry.build(_group(algorithm), algorithm, options)


def _group(algorithm: str) -> str:
    return SUMMARIES if check_algorithm(algorithm) in registry.names(SUMMARIES) else GROUP


def summary_of(project: StatisticsProject, kept: Kept, name: str, task: Task) -> Any:
    """What the project keeps beside its statistics for such a model. Raises Invalid when it does not."""
    companion = declared_of(project).companions.get(name)
    if companion is None:
        raise Invalid(f"the project keeps nothing for this model: make one with {DECLARATIONS[name]}")
    return companion.chosen(kept.beside.summaries[name], task)


def task_of(model: Any, task: Task) -> Task:
    """The columns that a model really has; some have none of their own."""
    return Task(tuple(getattr(model, "inputs", task.inputs)), tuple(getattr(model, "targets", task.targets)))


def optimal_clusters(
    ports: Ports, project: StatisticsProject, least: int, most: int, options: Mapping[str, str]
) -> dict[str, float]:
    """How well each number of clusters fits: ``kmeans_{k}_wssse`` and ``kmeans_{k}_silhouette``. Raises Invalid."""
    if not 1 <= least <= most <= MAX_TRIED_CLUSTERS:
        raise Invalid(f"kmeans_k_min and kmeans_k_max are 1 to {MAX_TRIED_CLUSTERS}, the first not above the second")
    centroids = summary_of(project, ANSWERS.read(ports, project), "kmeans", Task(()))
    found: dict[str, float] = {}
    for k in range(least, most + 1):
        clusters = recipe_of("kmeans", {**options, "kmeans_k": str(k)}).fit(centroids)
        found |= {f"kmeans_{k}_wssse": clusters.wssse, f"kmeans_{k}_silhouette": clusters.silhouette}
    return found


def keep(actor: Actor, project: StatisticsProject, name: str, built: Built, *, now: datetime) -> StatisticsModel:
    """Keep a model in the caller's transaction, in place of one of the same name. Raises Invalid, NotFound."""
    require(actor, Verb.CHANGE, project)
    check_name(name)
    if StatisticsModel.objects.filter(project=project).count() >= MAX_MODELS:
        raise Invalid(f"a project has at most {MAX_MODELS} models")
    row, _ = StatisticsModel.objects.update_or_create(
        project=project, name=name,
        defaults={
            "algorithm": built.algorithm, "inputs": list(built.task.inputs), "targets": list(built.task.targets),
            "options": dict(built.options), "fitted": document.encode(built.algorithm, built.model).decode(),
            "version": built.version, "build_s": built.seconds, "created_at": now,
        },
    )  # fmt: skip
    return row


def find_model(project: StatisticsProject, name: str) -> StatisticsModel:
    """Raises ModelMissing."""
    row = StatisticsModel.objects.filter(project=project, name=name).first()
    if row is None:
        raise ModelMissing(model=name[:200])
    return row


def fitted(row: StatisticsModel) -> Any:
    """The model itself."""
    _, model = document.decode(row.fitted.encode())
    return model


def list_models(project: StatisticsProject) -> QuerySet[StatisticsModel]:
    return StatisticsModel.objects.filter(project=project).order_by("name")


def delete_model(actor: Actor, project: StatisticsProject, name: str) -> None:
    """Raises ModelMissing."""
    require(actor, Verb.CHANGE, project)
    find_model(project, name).delete()


def export_model(project: StatisticsProject, name: str) -> str:
    """Base64 of the model's document. Raises ModelMissing."""
    return base64.b64encode(find_model(project, name).fitted.encode()).decode()


def model_code(project: StatisticsProject, name: str, language: str) -> str:
    """The model as source in ``java`` or ``sql``. Raises ModelMissing; Invalid for one that has no such form."""
    return code.encode(fitted(find_model(project, name)), language)  # type: ignore[arg-type]  # checked there


def import_model(actor: Actor, project: StatisticsProject, name: str, text: bytes, *, now: datetime) -> None:
    """What ``export_model`` gave, here or elsewhere. Raises Invalid."""
    try:
        data = base64.b64decode(text.strip().strip(b'"'), validate=True)
    except (binascii.Error, ValueError):
        raise Invalid("this is no export of a model") from None
    algorithm, model = document.decode(data)
    with transaction.atomic():
        keep(actor, project, name, Built(algorithm, model, task_of(model, Task(())), {}, project.version, 0.0), now=now)


def recipe_options(recipe: type, texts: Mapping[str, str]) -> dict[str, Any]:
    """A recipe's options out of texts, those of other recipes left out. Raises Invalid for one of another type."""
    known: dict[str, Field[Any]] = {field.name: field for field in fields(recipe)}
    found = {}
    for name, text in translated(texts).items():
        if name in known:
            found[name] = _typed(name, text, known[name])
    return found


def _typed(name: str, text: Any, field: Field[Any]) -> Any:
    if not isinstance(text, str):  # of a model that was built with types
        return text
    example = None if field.default is MISSING else field.default
    try:
        match example:
            case bool():
                return {"true": True, "1": True, "false": False, "0": False}[text.strip().lower()]
            case int():
                return int(text)
            case float():
                return float(text)
            case None:
                return _guessed(text)
    except (ValueError, KeyError):
        raise Invalid(f"the parameter {name[:80]!r} is not {str(text)[:40]!r}: it is like {example}") from None
    return text


def _guessed(text: str) -> Any:
    """A number if it looks like one: the default says nothing."""
    try:
        return float(text)
    except ValueError:
        return text
